"""A kernel and its engines inside the test's own process, for tests of the client alone.

`Twin` takes what a `ClientLink` is asked and tells what the kernel would: each engine is a namespace and a
thread that runs one call after the other. What only real engines can show is tested with real ones.
"""

from __future__ import annotations

import functools
import io
import json
import queue
import threading
import time
import traceback
import types
from contextlib import contextmanager
from typing import Any

from parallel_python.engine import operations


class Bell(threading.Event):
    """A `Bell` of the Rust side."""

    ring = threading.Event.set


class Twin:
    """A `ClientLink` with engines behind it."""

    def __init__(self, engines: int = 4) -> None:
        self.told: queue.SimpleQueue[Any] = queue.SimpleQueue()
        #: The bells that somebody has made to wait for.
        self.bells: queue.SimpleQueue[Bell] = queue.SimpleQueue()
        self.namespaces = [{"__name__": "__main__", "mpi_rank": rank} for rank in range(engines)]
        self.queues: list[queue.SimpleQueue[Any]] = [queue.SimpleQueue() for _ in range(engines)]
        self.pids = [10_000 + rank for rank in range(engines)]
        self.aborted: set[str] = set()
        self.interrupted: list[str] = []
        self.forgotten: list[tuple[str, str]] = []
        self.left: dict[str, int] = {}
        #: How much each engine has to do.
        self.load = [0] * engines
        #: An engine begins nothing while its event is not set.
        self.free = [threading.Event() for _ in range(engines)]
        self.release()
        for rank in range(engines):
            threading.Thread(target=self._engine, args=(rank,), daemon=True).start()

    def tell(self, *told: Any) -> None:
        self.told.put([told])

    def tell_at_once(self, *several: Any) -> None:
        self.told.put(list(several))

    def bell(self) -> Bell:
        bell = Bell()
        self.bells.put(bell)
        return bell

    def next(self, bells: list[Bell]) -> list[Any] | None:
        for bell in bells:
            bell.ring()
        told: list[Any] | None = self.told.get()
        return told

    def end(self) -> None:
        self.told.put(None)

    def hold(self, *ranks: int) -> None:
        """Have engines begin nothing."""
        for rank in ranks:
            self.free[rank].clear()

    def release(self) -> None:
        """Have every engine begin what it has to do."""
        for free in self.free:
            free.set()

    def open(self) -> None:
        engines = [(rank, "here", pid, True) for rank, pid in enumerate(self.pids)]
        self.tell("engines", "up", "", engines)

    def submit(self, submissions: list[Any], yields: bool = False) -> None:
        for name, _, placement, work in submissions:
            ranks = placement if isinstance(placement, list) else [self._least(placement[1])]
            self.left[name] = len(ranks)
            for rank in ranks:
                self.load[rank] += 1
                self.queues[rank].put((name, work))

    def _least(self, targets: list[int] | None) -> int:
        ranks = range(len(self.queues)) if targets is None else targets
        return min(ranks, key=lambda rank: self.load[rank])

    def abort(self, ask: int, names: list[str]) -> None:
        self.aborted.update(names)
        self.tell("answer", ask, b"null")

    def interrupt(self, names: list[str]) -> None:
        self.interrupted.extend(names)

    def forget(self, names: list[str], what: str) -> None:
        self.forgotten.extend((name, what) for name in names)

    def query(self, ask: int, query: str, targets: list[int]) -> None:
        self.tell("answer", ask, json.dumps([]).encode())

    def _engine(self, rank: int) -> None:
        while True:
            name, work = self.queues[rank].get()
            self.free[rank].wait()
            started = time.time()
            outcome: Any = "ok"
            if name in self.aborted:
                outcome = "aborted"
            else:
                try:
                    self._run(name, rank, work)
                except BaseException as error:
                    outcome = (type(error).__name__, str(error), traceback.format_exc().splitlines())
            self.load[rank] -= 1
            self.tell("done", name, rank, outcome, 1, started, time.time())
            self.left[name] -= 1
            if not self.left[name]:
                self.tell("over", name)

    def _run(self, name: str, rank: int, work: Any) -> None:
        with _ONE_AT_A_TIME, _as_main(self.namespaces[rank]):
            if work[0] == "apply":
                shell = types.SimpleNamespace(user_ns=self.namespaces[rank])
                data, blobs = operations.run(shell, work[1], work[2])  # type: ignore[arg-type]
                self.tell("value", name, rank, data, blobs)
                return
            text = io.StringIO()
            # `sys.stdout` is everybody's: what another thread writes there meanwhile is not the engine's.
            self.namespaces[rank]["print"] = functools.partial(print, file=text)
            exec(work[1], self.namespaces[rank])
            if text.getvalue():
                self.tell("stream", name, rank, "stdout", text.getvalue())


_ONE_AT_A_TIME = threading.Lock()


@contextmanager
def _as_main(namespace: dict[str, Any]) -> Any:
    """Have calls find this namespace as an engine's."""
    real = operations.main_namespace
    operations.main_namespace = lambda: namespace  # type: ignore[assignment]
    try:
        yield
    finally:
        operations.main_namespace = real
