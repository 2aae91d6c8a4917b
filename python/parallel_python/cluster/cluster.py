"""`Cluster`: engines to be started, resized, restarted and stopped from a notebook or a script.

In a notebook they are the kernel's own, which may be up already; a cluster that wants another number of them
has them restarted. Elsewhere a cluster starts engines of its own. Every coroutine has a twin that waits,
whose name ends in ``_sync`` and which works inside a running event loop too.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parallel_python.client import registry
from parallel_python.client.client import Client
from parallel_python.client.connecting import has_own_engines
from parallel_python.client.control import signal_number
from parallel_python.cluster.engineset import Controller, EngineSet, check_launcher
from parallel_python.cluster.home import home_of
from parallel_python.cluster.twins import run, with_twins

#: What else ipyparallel's clusters can be told, with its defaults. It is kept, and has nothing to do here.
OPTIONS: dict[str, Any] = {
    "profile_dir": None,
    "delay": 1.0,
    "controller_ip": "",
    "controller_location": "",
    "controller_args": [],
    "engine_timeout": 60,
    "shutdown_atexit": True,
    "load_profile": True,
    "send_engines_connection_env": True,
    "log_level": 20,
    "cluster_file": "",
    "config": None,
    "parent": None,
    "log": None,
}


@with_twins
class Cluster:
    """The notebook's engines; in a plain Python process, engines that are started for it.

    Parameters
    ----------
    n : int, optional
        How many; None: as many as the kernel has.
    engines : str, optional
        ``'mpi'`` or ``'local'``: engines on this machine, which are ranks of one MPI world.
    controller : str, optional
        Accepted as `engines`; there is no controller.
    profile, cluster_id : str, optional
        Its name: outside of a notebook ``Client(profile=…, cluster_id=…)`` finds its engines by that.
    **options
        What else ipyparallel's clusters can be told. Of these, ``engine_timeout`` and, outside of a notebook,
        ``shutdown_atexit`` have an effect.
    """

    n: int | None

    if TYPE_CHECKING:
        engine_timeout: float
        shutdown_atexit: bool
        cluster_file: str

    def __init__(
        self,
        n: int | None = None,
        *,
        engines: Any = None,
        controller: Any = None,
        profile: str | None = None,
        cluster_id: str | None = None,
        engine_launcher_class: Any = None,
        controller_launcher_class: Any = None,
        **options: Any,
    ) -> None:
        if engines is not None and engine_launcher_class is not None:
            raise TypeError("Only specify one of 'engines' or 'engine_launcher_class', not both")
        if controller is not None and controller_launcher_class is not None:
            raise TypeError("Only specify one of 'controller' or 'controller_launcher_class', not both")
        for launcher in (engines, engine_launcher_class, controller, controller_launcher_class):
            if launcher is not None:
                check_launcher(launcher)
        unknown = sorted(set(options) - set(OPTIONS))
        if unknown:
            raise TypeError(f"Cluster has no option {', '.join(map(repr, unknown))}")
        if n is not None and n < 1:
            raise ValueError(f"a cluster has at least one engine, not {n}")
        self.n = n
        self.profile = profile or "default"
        self.cluster_id = f"{int(time.time())}-{secrets.token_hex(4)}" if cluster_id is None else cluster_id
        self.engine_launcher = engines or engine_launcher_class or "mpi"
        for name, value in {**OPTIONS, **options}.items():
            setattr(self, name, value)
        self._home = home_of(self.profile, self.cluster_id, not self.shutdown_atexit, self.cluster_file)
        self.engines: dict[str, EngineSet] = {}
        self.controller: Controller | None = None
        self._client: Client | None = None

    # Starting.

    async def start_cluster(self, n: int | None = None) -> Cluster:
        """Have the engines up, as many as asked for; returns the cluster."""
        await self.start_engines(n)
        return self

    async def start_controller(self) -> None:
        """Say that there is nothing to start: the kernel is what a controller was for.

        Raises
        ------
        RuntimeError
            When it was started.
        """
        if self.controller is not None:
            raise RuntimeError("controller is already running. Call stop_controller() first.")
        self.controller = Controller()

    async def start_engines(
        self, n: int | None = None, engine_set_id: str | None = None, **kwargs: Any
    ) -> str:
        """Have the engines up, and return their set's id.

        Parameters
        ----------
        n : int, optional
            How many; None: as many as the cluster was made for.
        engine_set_id : str, optional
            What to call them.

        Raises
        ------
        NotImplementedError
            When the cluster has engines: they are one MPI world, to which none can be added.
        """
        if self.engines:
            raise NotImplementedError(
                "no engines can be added to an MPI world that runs: stop them and start as many as you need"
            )
        self.controller = self.controller or Controller()
        await self._home.start(n if n is not None else self.n)
        if n is not None:
            self.n = n
        identifier = engine_set_id or str(int(time.time()))
        self.engines[identifier] = EngineSet(self._home.conversation(), identifier)
        return identifier

    async def connect_client(self, **client_kwargs: Any) -> Client:
        """Return a client of the engines."""
        name = {"profile": self.profile, "cluster_id": self.cluster_id, "url_file": self.cluster_file or None}
        return await asyncio.to_thread(Client, cluster=self, **{**name, **client_kwargs})

    async def start_and_connect(self, n: int | None = None, activate: bool = False) -> Client:
        """Have the engines up and return a client of them.

        Parameters
        ----------
        n : int, optional
            How many.
        activate : bool
            Whether ``%px`` uses a new, blocking view of all of them.
        """
        if not self.engines:
            await self.start_cluster(n)
        client = await self.connect_client()
        waiting = client.wait_for_engines(n or self.n or 1, block=False, timeout=self.engine_timeout)
        assert waiting is not None
        await asyncio.wrap_future(waiting)
        if activate:
            client.activate()
        return client

    # What runs.

    @property
    def engine_set(self) -> EngineSet | None:
        """The engines, if they were started."""
        return next(reversed(self.engines.values()), None)

    def _set(self, engine_set_id: str | None) -> str:
        if engine_set_id is None and self.engines:
            return next(reversed(self.engines))
        if engine_set_id not in self.engines:
            raise KeyError(f"no engines {engine_set_id!r}: there are {list(self.engines)}")
        return engine_set_id

    async def signal_engines(self, signum: int | str, engine_set_id: str | None = None) -> None:
        """Send a signal to all engines.

        Parameters
        ----------
        signum : int or str
            Its number or its name, as ``'SIGINT'``.
        engine_set_id : str, optional
            Which engines, where there are several sets of them.
        """
        chosen, number = self.engines[self._set(engine_set_id)], signal_number(signum)
        ids = await asyncio.to_thread(lambda: chosen.ids)
        await asyncio.wrap_future(self._home.conversation().ask("signal", ids, number))

    async def signal_engine(self, engine_id: int, signum: int | str) -> None:
        """Send a signal to one engine.

        Parameters
        ----------
        engine_id : int
            The engine.
        signum : int or str
            As for `signal_engines`.
        """
        answer = self._home.conversation().ask("signal", [engine_id], signal_number(signum))
        await asyncio.wrap_future(answer)

    async def restart_engines(self, engine_set_id: str | None = None) -> None:
        """Start as many new engines in place of the old ones, whose namespaces are lost."""
        self._set(engine_set_id)
        await asyncio.wrap_future(self._home.conversation().ask("engines", "restart", None))

    async def restart_engine(self, engine_id: int) -> None:
        """Refuse: an MPI world restarts as a whole."""
        raise NotImplementedError(
            "one rank of an MPI world cannot be restarted alone: `restart_engines()` restarts all"
        )

    # Stopping.

    async def stop_engines(self, engine_set_id: str | None = None) -> None:
        """Stop the engines; others can be started in their place, for the same clients."""
        if engine_set_id is None and not self.engines:
            return
        del self.engines[self._set(engine_set_id)]
        print("Stopping the engines")
        await self._home.stop()
        if self.controller is None:
            await self._home.end()

    async def stop_engine(self, engine_id: int) -> None:
        """Refuse: an MPI world stops as a whole."""
        raise NotImplementedError(
            "one rank of an MPI world cannot be stopped alone: `stop_engines()` stops all"
        )

    async def stop_controller(self) -> None:
        """Forget the controller: in a script its process ends, together with the engines or after them."""
        self.controller = None
        if not self.engines:
            await self._home.end()

    async def stop_cluster(self) -> None:
        """Stop the engines, and in a script the process that has them."""
        await self.stop_engines()
        await self.stop_controller()

    # Context managers.

    def __enter__(self) -> Client:
        self._client = run(self.start_and_connect())
        return self._client

    def __exit__(self, *_: object) -> None:
        self._leave()
        run(self.stop_cluster())

    async def __aenter__(self) -> Client:
        self._client = await self.start_and_connect()
        return self._client

    async def __aexit__(self, *_: object) -> None:
        self._leave()
        await self.stop_cluster()

    def _leave(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    # Files.

    @classmethod
    def from_file(
        cls, cluster_file: str | None = None, *, profile: str | None = None, profile_dir: str | None = None,
        cluster_id: str = "", **kwargs: Any,
    ) -> Cluster:  # fmt: skip
        """Return a cluster that runs: a file's, else the notebook's engines, or elsewhere those of a name.

        Files of ipyparallel's say nothing here.

        Raises
        ------
        FileNotFoundError
            When a file is named that is not there, or no such engines run.
        """
        if cluster_file is not None and not Path(cluster_file).is_file():
            raise FileNotFoundError(cluster_file)
        found = registry.at(cluster_file) if cluster_file is not None else None
        kwargs["cluster_file"] = str(found.file) if found is not None else ""
        if found is None and not has_own_engines():
            try:
                found = registry.find(registry.set_name(profile, cluster_id))
            except OSError as error:
                raise FileNotFoundError(str(error)) from None
        if found is not None:
            profile, cluster_id = registry.split_name(found.profile)
        return cls.from_dict({"cluster": {"profile": profile, "cluster_id": cluster_id}}, **kwargs)

    @classmethod
    def from_dict(cls, d: dict[str, Any], **kwargs: Any) -> Cluster:
        """Return the cluster that a dict of `to_dict` describes, attached to the engines."""
        told = d.get("cluster", {})
        # What runs already was not started by this process.
        kwargs.setdefault("shutdown_atexit", False)
        cluster = cls(profile=told.get("profile"), cluster_id=told.get("cluster_id"), **kwargs)
        cluster.controller = Controller()
        for identifier in d.get("engines", {}).get("sets", ["0"]):
            cluster.engines[identifier] = EngineSet(cluster._home.conversation(), identifier)
        return cluster

    def to_dict(self) -> dict[str, Any]:
        """Return what describes it."""
        return {
            "class": f"{type(self).__module__}.{type(self).__qualname__}",
            "cluster": {"profile": self.profile, "cluster_id": self.cluster_id, "n": self.n},
            "controller": {"state": {}} if self.controller else None,
            "engines": {"class": "mpi", "sets": {name: {"n": one.n} for name, one in self.engines.items()}},
        }

    def __repr__(self) -> str:
        fields = [f"cluster_id={self.cluster_id!r}", f"profile={self.profile!r}"]
        if self.controller:
            fields.append(f"controller={self.controller!r}")
        if self.engines:
            fields.append(f"engine_sets={list(self.engines)}")
        return f"<{type(self).__name__}({', '.join(fields)})>"
