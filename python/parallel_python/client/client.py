"""`Client`: the way to the engines, and to what they have done.

A client holds no engines and no connection of its own: all clients of a process share one conversation with
the kernel (`parallel_python.client.link`), and the kernel keeps the records of all tasks. What is a
client's own is which tasks it has submitted.
"""

from __future__ import annotations

import builtins
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any

from parallel_python.client import submission
from parallel_python.client.asyncresult import AsyncResult, no_limit
from parallel_python.client.clientlink import Submission
from parallel_python.client.connecting import connect
from parallel_python.client.control import Control
from parallel_python.client.link import Conversation
from parallel_python.client.metadata import Metadata
from parallel_python.client.part import Part, Task, split_id
from parallel_python.client.records import Records
from parallel_python.client.targets import resolve

if TYPE_CHECKING:
    from parallel_python.cluster.cluster import Cluster
    from parallel_python.view import BroadcastView, DirectView, LoadBalancedView
    from parallel_python.view.executor import ViewExecutor


class Client(Control, Records):
    """The engines of this notebook; in a plain Python process, a set of engines of this user.

    Parameters
    ----------
    connection_info : str or path, optional
        The file of a set of engines. Others, as ipyparallel has them, are not needed and say nothing.
    url_file : str, optional
        The same.
    profile, cluster_id : str, optional
        The name of the set. In a notebook the engines are the kernel's, whatever the name. Elsewhere they
        are those of ``parallel-python engines start --profile NAME``, or a notebook's, whose name is its
        connection file's; without a name the set ``default``, else the only one there is.
    timeout : float
        Seconds to wait for the kernel; engines that are still starting are waited for as long as they start.
    cluster : Cluster, optional
        What started the engines.
    **extra
        Other options of ipyparallel's client (``sshserver`` and the like), which have nothing to do here.

    Raises
    ------
    OSError
        When there are no engines for this process, or they cannot start.
    """

    def __init__(
        self,
        connection_info: str | Mapping[str, Any] | None = None,
        *,
        url_file: str | None = None,
        profile: str | None = None,
        profile_dir: str | None = None,
        ipython_dir: str | None = None,
        context: object = None,
        debug: bool = False,
        sshserver: str | None = None,
        sshkey: str | None = None,
        password: str | None = None,
        paramiko: bool | None = None,
        timeout: float = 10,
        cluster_id: str | None = None,
        cluster: Cluster | None = None,
        **extra: Any,
    ) -> None:
        if isinstance(connection_info, str) and "://" in connection_info:
            raise ValueError(
                f"{connection_info!r} is a URL, and engines are found by name: `Client(profile=…)`"
            )
        self._conversation: Conversation = connect(profile, cluster_id, connection_info or url_file)
        self._closed = False
        self.block = False
        self.debug = debug
        self.profile = profile or "default"
        self.cluster = cluster
        self._history: list[str] = []
        self._kept: dict[str, Part] = {}
        self._outstanding: set[str] = set()
        self._open(timeout)
        self._activate_first()

    def _open(self, timeout: float) -> None:
        """Wait until the engines are up, or cannot come up."""
        engines = self._conversation.engines
        told = engines.told
        self._conversation.link.open()
        if not engines.wait(lambda: engines.told > told, None if timeout is None else max(timeout, 10)):
            raise builtins.TimeoutError("the kernel does not answer: Hub connection request timed out")
        engines.wait(lambda: engines.phase in ("up", "failed", "off"))
        if engines.phase == "off":
            # They were just being stopped.
            self._conversation.link.open()
            engines.wait(lambda: engines.phase in ("up", "failed"))
        if engines.phase == "failed" and not engines.ids:
            raise OSError(f"there are no engines: {engines.reason}")

    def _activate_first(self) -> None:
        """Give ``%px`` a view where nothing has given it one; in a notebook the kernel has."""

    # Which engines there are.

    @property
    def ids(self) -> list[int]:
        """The engines, in order; this is as of now."""
        self._check_open()
        engines = self._conversation.engines
        if engines.phase == "launching":
            engines.wait(lambda: engines.phase != "launching")
        return engines.ids

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[DirectView]:
        return (self.direct_view(engine) for engine in self.ids)

    def __getitem__(self, key: int | slice | Sequence[int]) -> DirectView:
        if not isinstance(key, int | slice | tuple | list | range) and not hasattr(key, "__index__"):
            raise TypeError(f"key by int/slice/iterable of ints only, not {type(key)}")
        found = self._targets(key)
        return self.direct_view(found if isinstance(key, slice | tuple | list | range) else found[0])

    def _targets(self, targets: Any) -> list[int]:
        """Return the engines that are meant, or raise why there are none."""
        return resolve(targets, self.ids)

    # Views.

    def direct_view(self, targets: Any = "all", **flags: Any) -> DirectView:
        """Return a view of engines that each do what is asked.

        Parameters
        ----------
        targets : int, slice, list of int, 'all' or None
            An int makes results bare values; ``'all'`` means all that there are when something is asked.
        **flags
            ``block``, ``track``.
        """
        from parallel_python.view import DirectView

        return DirectView(self, self._fixed(targets), **flags)

    def load_balanced_view(self, targets: Any = None, **flags: Any) -> LoadBalancedView:
        """Return a view that gives each task to one engine, whichever is free.

        Parameters
        ----------
        targets : int, slice, list of int, 'all' or None
            Which engines may be used; None: all.
        **flags
            ``block``, ``track``, ``retries``, ``timeout``, ``after``, ``follow``.
        """
        from parallel_python.view import LoadBalancedView

        every = targets is None or (isinstance(targets, str) and targets.lower() == "all")
        return LoadBalancedView(self, None if every else self._targets(targets), **flags)

    def broadcast_view(
        self, targets: Any = "all", is_coalescing: bool = False, **flags: Any
    ) -> BroadcastView:
        """Return a view that sends one message for all engines (as every view of several engines does here).

        Parameters
        ----------
        targets : int, slice, list of int, 'all' or None
            The engines, as of now.
        is_coalescing : bool
            Accepted; results keep the engines' order and errors are raised, whatever it says.
        **flags
            ``block``, ``track``.
        """
        from parallel_python.view import BroadcastView

        view = BroadcastView(self, self._targets(targets), **flags)
        view.is_coalescing = is_coalescing
        return view

    def executor(self, targets: Any = None) -> ViewExecutor:
        """Return a `concurrent.futures.Executor` that gives each call to one engine."""
        return self.load_balanced_view(targets).executor

    def activate(self, targets: Any = "all", suffix: str = "") -> DirectView:
        """Have the magics ``%px``, ``%autopx`` … with a suffix use a blocking view of these engines.

        Returns
        -------
        DirectView
            The view.
        """
        view = self.direct_view(targets, block=True)
        view.activate(suffix)
        return view

    def _fixed(self, targets: Any) -> Any:
        if targets is None or (isinstance(targets, str) and targets.lower() == "all"):
            return targets
        found = self._targets(targets)
        return found[0] if hasattr(targets, "__index__") else found

    # Submission, for the views.

    def _new_task(self, method: str, ranks: Sequence[int] | None, label: str | None) -> Task:
        return Task(label, method, ranks, self._conversation.engines.uuid_of)

    def _submit(self, tasks: Sequence[Task], submissions: list[Submission]) -> list[Part]:
        """Submit; the parts in order."""
        self._check_open()
        parts = [part for task in tasks for part in task]
        for part in parts:
            self._history.append(part.msg_id)
            self._outstanding.add(part.msg_id)
            self._kept[part.msg_id] = part
            part.watchers.append(self._note_done)
        self._conversation.submit(tasks, submissions)
        return parts

    def _apply(
        self,
        targets: list[int],
        function: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        label: str | None = None,
    ) -> list[Part]:
        """Make a call on each of several engines."""
        task = self._new_task("apply", targets, label)
        return self._submit([task], [submission.apply(task, targets, function, args, kwargs)])

    def _apply_each(
        self, targets: Sequence[int], calls: Sequence[submission.Call], label: str | None = None
    ) -> list[Part]:
        """Make another call on each engine."""
        tasks, submissions = [], []
        for target, (function, args, kwargs) in zip(targets, calls, strict=True):
            task = self._new_task("apply", [target], label)
            submissions.append(submission.apply(task, [target], function, args, kwargs))
            tasks.append(task)
        return self._submit(tasks, submissions)

    def _execute(self, targets: list[int], code: str, silent: bool, label: str | None = None) -> list[Part]:
        """Run code on each of several engines."""
        task = self._new_task("execute", targets, label)
        return self._submit([task], [submission.execute(task, targets, code, silent=silent)])

    def _interrupt(self, result: AsyncResult) -> None:
        """Raise `KeyboardInterrupt` in tasks that run, and take back those that have not begun."""
        names = {split_id(part.msg_id)[0] for part in result._parts if not part.done}
        self._conversation.link.interrupt(sorted(names))

    def _note_done(self, part: Part) -> None:
        self._outstanding.discard(part.msg_id)

    def _parts_of(self, children: Iterable[Part | str]) -> list[Part]:
        """Return parts, also where they are given by id; what nobody here holds is asked of the kernel."""
        children = list(children)
        known = {child: self._known_part(child) for child in children if isinstance(child, str)}
        missing = {split_id(msg_id)[0] for msg_id, part in known.items() if part is None}
        if missing:
            recalled = {part.msg_id: part for part in self._recall(sorted(missing))}
            known = {msg_id: part or recalled.get(msg_id) for msg_id, part in known.items()}
        return [self._there(child, known[child]) if isinstance(child, str) else child for child in children]

    def _known_part(self, msg_id: str) -> Part | None:
        name, rank = split_id(msg_id)
        task = self._conversation.find(name)
        return None if task is None else task.part(rank)

    @staticmethod
    def _there(msg_id: str, part: Part | None) -> Part:
        if part is None:
            raise KeyError(f"no task {msg_id!r} is known: its record was purged, or it never was")
        return part

    def _forget_parts(self, parts: Iterable[Part]) -> None:
        for part in parts:
            self._kept.pop(part.msg_id, None)

    # What has been submitted.

    @property
    def history(self) -> list[str]:
        """The ids of all tasks of this client, in order."""
        return self._history

    @property
    def outstanding(self) -> set[str]:
        """The ids of tasks that are not done."""
        return set(self._outstanding)

    @property
    def results(self) -> defaultdict[str, Any]:
        """The values of tasks that no `AsyncResult` has taken, by id."""
        found: defaultdict[str, Any] = defaultdict(lambda: None)
        for msg_id, part in list(self._kept.items()):
            if part.done:
                found[msg_id] = part.value() if part.error is None else part.error
        return found

    @property
    def metadata(self) -> defaultdict[str, Metadata]:
        """What is known of tasks that no `AsyncResult` has taken, by id."""
        found: defaultdict[str, Metadata] = defaultdict(Metadata)
        found.update((msg_id, part.metadata) for msg_id, part in list(self._kept.items()))
        return found

    # Waiting.

    def wait(self, jobs: Any = None, timeout: float = -1) -> bool:
        """Wait for tasks.

        Parameters
        ----------
        jobs : int, str, Future, or list of them, optional
            Indices into the history, ids, results; None: all that are not done.
        timeout : float
            Seconds to wait at most; negative: no limit.

        Returns
        -------
        bool
            Whether all are done.
        """
        import concurrent.futures

        _, pending = concurrent.futures.wait(self._futures(jobs), no_limit(timeout))
        return not pending

    def wait_interactive(self, jobs: Any = None, interval: float = 1.0, timeout: float = -1.0) -> None:
        """Wait for tasks with a bar that shows how many are done."""
        from parallel_python.client.progress import wait_with_bar

        wait_with_bar(self._futures(jobs), "", "tasks", interval, timeout)

    def _futures(self, jobs: Any) -> list[Future[Any]]:
        if jobs is None:
            jobs = sorted(self._outstanding)
        if isinstance(jobs, int | str | Future):
            jobs = [jobs]
        return [
            job if isinstance(job, Future) else self.get_result(job, block=False, owner=False) for job in jobs
        ]

    def wait_for_engines(
        self,
        n: int | None = None,
        *,
        timeout: float = -1,
        block: bool = True,
        interactive: bool | None = None,
        widget: bool | None = None,
    ) -> Future[None] | None:
        """Wait until there are at least `n` engines.

        Parameters
        ----------
        n : int, optional
            How many; None: as many as the client's cluster was made for.
        timeout : float
            Seconds to wait at most; negative: no limit.
        block : bool
            Whether to wait here, or to return a future.
        interactive : bool, optional
            Whether to show a bar; None: when there is something to wait for.
        widget : bool, optional
            Whether the bar is a widget; None: where that is possible.

        Raises
        ------
        TypeError
            When it is not said how many.
        TimeoutError
            When there are not as many in time.
        EngineError
            When the engines are stopped or cannot start.
        """
        if n is None:
            n = getattr(self.cluster, "n", None)
            if n is None:
                raise TypeError("n engines to wait for must be specified")
        from parallel_python.client.waiting import show_bar, wait_for_engines

        engines = self._conversation.engines
        future = wait_for_engines(engines, n, no_limit(timeout))
        if not block:
            return future
        if interactive if interactive is not None else not future.done():
            show_bar(engines, n, future, widget)
        return future.result()

    def spin(self) -> None:
        """Do nothing: results come by themselves."""
        _spin("spin")

    def spin_thread(self, interval: float = 1) -> None:
        """Do nothing, as `spin`."""
        _spin("spin_thread")

    def stop_spin_thread(self) -> None:
        """Do nothing, as `spin`."""
        _spin("stop_spin_thread")

    # The end.

    def close(self, linger: float | None = None) -> None:
        """Use this client no more; the engines stay, and so does what they have of it."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("this client is closed: make another one with `Client()`")

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: engines {self._conversation.engines.ids}>"


def _spin(name: str) -> None:
    warnings.warn(f"`{name}` has nothing to do: results come by themselves", DeprecationWarning, stacklevel=3)
