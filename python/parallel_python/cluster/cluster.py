"""`Cluster`: engines to be started, resized, restarted and stopped from a notebook.

They are the kernel's own, which may be up already; a cluster that wants another number of them has them
restarted. Every coroutine has a twin that waits, whose name ends in ``_sync`` and which works inside a
running event loop too.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextvars import copy_context
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar

from parallel_python.client.client import Client
from parallel_python.client.link import connect
from parallel_python.cluster.engineset import Controller, EngineSet, check_launcher

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


class Cluster:
    """The notebook's engines.

    Parameters
    ----------
    n : int, optional
        How many; None: as many as the kernel has.
    engines : str, optional
        ``'mpi'`` or ``'local'``: the kernel's own engines, which are ranks of one MPI world.
    controller : str, optional
        Accepted as `engines`; there is no controller.
    profile, cluster_id : str, optional
        Names for it.
    **options
        What else ipyparallel's clusters can be told.
    """

    n: int | None

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
        self.cluster_id = f"{int(time.time())}-{id(self) & 0xFFFF:04x}" if cluster_id is None else cluster_id
        self.engine_launcher = engines or engine_launcher_class or "mpi"
        for name, value in {**OPTIONS, **options}.items():
            setattr(self, name, value)
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
        wanted = n if n is not None else self.n
        conversation = connect()
        engines = conversation.engines
        if engines.phase == "" or engines.phase == "launching":
            await asyncio.to_thread(_settle)
        count = len(engines.ids)
        if engines.phase != "up" or (wanted is not None and wanted != count) or count != len(engines.table):
            print(f"Starting {'the' if wanted is None else wanted} engines")
            action = "start" if engines.phase in ("", "off", "failed") else "restart"
            await asyncio.wrap_future(conversation.ask("engines", action, wanted))
        if n is not None:
            self.n = n
        identifier = engine_set_id or str(int(time.time()))
        self.engines[identifier] = EngineSet(conversation, identifier)
        return identifier

    async def connect_client(self, **client_kwargs: Any) -> Client:
        """Return a client of the engines."""
        return await asyncio.to_thread(Client, cluster=self, **{"profile": self.profile, **client_kwargs})

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
        waiting = client.wait_for_engines(n or self.n or 1, block=False, timeout=self.engine_timeout)  # type: ignore[attr-defined]
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
        """Send a signal to all engines."""
        self._set(engine_set_id)
        number = signal.Signals[signum].value if isinstance(signum, str) else int(signum)
        conversation = connect()
        await asyncio.wrap_future(conversation.ask("signal", conversation.engines.ids, number))

    async def signal_engine(self, engine_id: int, signum: int | str) -> None:
        """Send a signal to one engine."""
        number = signal.Signals[signum].value if isinstance(signum, str) else int(signum)
        await asyncio.wrap_future(connect().ask("signal", [engine_id], number))

    async def restart_engines(self, engine_set_id: str | None = None) -> None:
        """Start as many new engines in place of the old ones, whose namespaces are lost."""
        self._set(engine_set_id)
        await asyncio.wrap_future(connect().ask("engines", "restart", None))

    async def restart_engine(self, engine_id: int) -> None:
        """Refuse: an MPI world restarts as a whole."""
        raise NotImplementedError(
            "one rank of an MPI world cannot be restarted alone: `restart_engines()` restarts all"
        )

    # Stopping.

    async def stop_engines(self, engine_set_id: str | None = None) -> None:
        """Stop the engines."""
        if engine_set_id is None and not self.engines:
            return
        del self.engines[self._set(engine_set_id)]
        print("Stopping the engines")
        await asyncio.wrap_future(connect().ask("engines", "stop", None))

    async def stop_engine(self, engine_id: int) -> None:
        """Refuse: an MPI world stops as a whole."""
        raise NotImplementedError(
            "one rank of an MPI world cannot be stopped alone: `stop_engines()` stops all"
        )

    async def stop_controller(self) -> None:
        """Forget the controller; the kernel goes on."""
        self.controller = None

    async def stop_cluster(self) -> None:
        """Stop the engines."""
        await self.stop_engines()
        await self.stop_controller()

    # Context managers.

    def __enter__(self) -> Client:
        self._client = _run(self.start_and_connect())
        return self._client

    def __exit__(self, *_: object) -> None:
        self._leave()
        _run(self.stop_cluster())

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
        """Return the cluster that runs: the notebook's engines, whatever its names.

        Raises
        ------
        FileNotFoundError
            When a file is named that is not there.
        """
        if cluster_file is not None and not Path(cluster_file).is_file():
            raise FileNotFoundError(cluster_file)
        return cls.from_dict({"cluster": {"profile": profile, "cluster_id": cluster_id}})

    @classmethod
    def from_dict(cls, d: dict[str, Any], **kwargs: Any) -> Cluster:
        """Return the cluster that a dict of `to_dict` describes, attached to the engines."""
        told = d.get("cluster", {})
        cluster = cls(profile=told.get("profile"), cluster_id=told.get("cluster_id"), **kwargs)
        cluster.controller = Controller()
        for identifier in d.get("engines", {}).get("sets", ["0"]):
            cluster.engines[identifier] = EngineSet(connect(), identifier)
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

    _COROUTINES: ClassVar[tuple[str, ...]] = (
        "start_cluster", "start_controller", "start_engines", "connect_client", "start_and_connect",
        "signal_engines", "signal_engine", "restart_engines", "restart_engine", "stop_engines", "stop_engine",
        "stop_controller", "stop_cluster",
    )  # fmt: skip


def _settle() -> None:
    """Wait until the engines are up, or are not coming up."""
    conversation = connect()
    engines = conversation.engines
    if engines.phase == "":
        conversation.link.open()
    engines.wait(lambda: engines.phase not in ("", "launching"))


def _run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end in a thread of its own, which a running event loop does not hinder."""
    outcome: Future[Any] = Future()

    def work() -> None:
        try:
            outcome.set_result(asyncio.run(coroutine))
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=copy_context().run, args=(work,), name="cluster", daemon=True).start()
    return outcome.result()


def _twin(name: str) -> Callable[..., Any]:
    coroutine = getattr(Cluster, name)

    @wraps(coroutine)
    def twin(self: Cluster, *args: Any, **kwargs: Any) -> Any:
        return _run(coroutine(self, *args, **kwargs))

    twin.__name__ = f"{name}_sync"
    twin.__doc__ = f"Wait for `{name}`."
    return twin


for _name in Cluster._COROUTINES:
    setattr(Cluster, f"{_name}_sync", _twin(_name))
