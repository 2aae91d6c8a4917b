"""`Conversation`: a connection to the process that owns the engines, a kernel or a set without a notebook.

::

    views ─► submit ─► ClientLink (Rust) ─► kernel ─► engines
    AsyncResult ◄─ Part ◄─ thread ◄─ next() ◄─ what the kernel tells of tasks, engines, questions

A thread, started with the first client, takes what is told and completes what waits for it. It sleeps in Rust
while nothing is told. **Invariant**: it alone changes parts and engines; it runs no code of the user's but
what unpickling ``publish_data`` needs and what was registered as a callback.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import threading
import traceback
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from parallel_python.client.answer import Answer
from parallel_python.client.batches import Work, batches
from parallel_python.client.clientlink import Bell, ClientLink, Told
from parallel_python.client.engines import Engines
from parallel_python.client.errors import EngineError, KernelError, RemoteError, TaskAborted
from parallel_python.client.part import Hold, Part, split_id
from parallel_python.client.sent import Again, Sent
from parallel_python.client.task import Task

#: So many tasks are submitted at once where there are fewer engines.
FEW = 16

#: What runs nobody's code, except callbacks, which say so themselves.
_BRIEF = frozenset({"value", "done", "over"})

#: The number of a question whose answer nobody waits for.
NOBODYS = 0


class Conversation:
    """What is asked of the kernel and what it tells.

    Parameters
    ----------
    link : ClientLink
        The connection.
    restart : str
        What gives engines again when it has ended.
    """

    def __init__(self, link: ClientLink, restart: str = "restart the kernel") -> None:
        self.link = link
        self._restart = restart
        self.engines = Engines()
        self.ended = False
        self.pid = os.getpid()
        self._tasks: dict[str, Task] = {}
        self._known: weakref.WeakValueDictionary[str, Task] = weakref.WeakValueDictionary()
        self._answers: dict[int, Future[Any]] = {}
        self._numbers = itertools.count(1)
        self.sent = Sent()
        self._bells: list[Bell] = []
        self._thread = threading.Thread(target=self._serve, name="parallel-python-client", daemon=True)
        self._thread.start()

    def submit(self, works: Iterable[Work]) -> None:
        """Have work done, the first of it while the rest is made.

        Where making it fails, what has not begun is taken back.
        """
        self.check()
        known: list[Task] = []
        try:
            # An engine each, at once: a call on all of them is one message.
            first = max(len(self.engines.ids), FEW)
            for number, batch in enumerate(batches(works, first)):
                # First: an interrupt may come when it is on its way, and what nobody knows is not aborted.
                for task, _ in batch:
                    known.append(task)
                    self._tasks[task.name] = self._known[task.name] = task
                # Before: what is shared is let go of when the kernel has it. Only what is kept is held here.
                keeps = self.sent.keeps
                sent = [Again(submission, task.file) for task, submission in batch if keeps(task.file)]
                yields = number == 0 and len(batch) == first
                self.link.submit([submission for _, submission in batch], yields)
                self.sent.remember(sent)
        except BaseException:
            for task in known:
                self._tasks.pop(task.name, None)
                task.file = None
            if known:
                with suppress(OSError):
                    self.link.abort(NOBODYS, [task.name for task in known])
            raise

    def ask(self, question: str, *details: Any) -> Future[Any]:
        """Ask something; the answer is what the kernel's JSON says."""
        self.check()
        number, answer = next(self._numbers), Answer(self.refuse_to_wait)
        self._answers[number] = answer
        getattr(self.link, question)(number, *details)
        return answer

    def recall(self, names: list[str], adopt: Callable[[Any], None]) -> Future[Any]:
        """Have everything told about tasks, from the beginning; `adopt` is called with the answer before
        that.
        """
        self.check()
        number, answer = next(self._numbers), Answer(self.refuse_to_wait, adopt)
        self._answers[number] = answer
        self.link.recall(number, names)
        return answer

    def find(self, name: str) -> Task | None:
        """Return a task that this process knows."""
        return self._known.get(name)

    def meant(self, ids: Iterable[str]) -> list[str]:
        """Return ids as the kernel takes them: of a task all of whose parts are meant, its name."""
        ranks: defaultdict[str, set[int | None]] = defaultdict(set)
        for msg_id in ids:
            name, rank = split_id(msg_id)
            ranks[name].add(rank)
        found: list[str] = []
        for name, some in sorted(ranks.items()):
            task = self.find(name)
            if None in some or (task is not None and some == task.ranks):
                found.append(name)
            else:
                found.extend(f"{name}@{rank}" for rank in sorted(rank for rank in some if rank is not None))
        return found

    def adopt(self, task: Task) -> None:
        """Take in what will be told of a task that was submitted elsewhere."""
        self._tasks[task.name] = self._known[task.name] = task

    def _let_go_of(self, name: str, hold: Hold) -> None:
        """Say that nobody here holds a task's results any more; called when that is so, in any thread."""
        if not self.ended and os.getpid() == self.pid:
            try:
                self.link.forget([name], "values" if hold.taken else "watch")
            except OSError:
                pass  # The kernel is gone, and the results with it.

    def check(self) -> None:
        """Raise where nothing can be asked any more."""
        if os.getpid() != self.pid:
            raise KernelError(
                "a forked process has no connection to the engines: start it anew, as `spawn` does"
            )
        if self.ended:
            raise EngineError(f"the connection to the engines has ended: {self._restart}")

    def refuse_to_wait(self) -> None:
        """Raise in the thread: what is waited for there would never come."""
        if threading.get_ident() == self._thread.ident:
            raise RuntimeError(
                "a callback would wait for itself: it runs in the thread that completes results."
                " Wait in another thread, which the callback starts"
            )

    def ring(self, bell: Bell) -> None:
        """Wake who waits for what is complete: in the thread, when it has done what it was told at once.

        A thread that is woken while this one holds the GIL goes back to sleep until it gets it.
        """
        if threading.get_ident() == self._thread.ident:
            self._bells.append(bell)
        else:
            bell.ring()

    def ring_now(self) -> None:
        """Wake those who wait, before something that may take its time."""
        if self._bells and threading.get_ident() == self._thread.ident:
            bells, self._bells = self._bells, []
            for bell in bells:
                bell.ring()

    # What follows runs in the thread.

    def _serve(self) -> None:
        handlers: dict[str, Callable[..., None]] = {
            "engines": self.engines.take,
            "stream": self._stream,
            "publish": self._publish,
            "result": self._result,
            "payload": self._payload,
            "value": self._value,
            "data": self._data,
            "done": self._done,
            "lost": self._lost,
            "refused": self._refused,
            "over": self._over,
            "answer": self._answer,
            "failed": self._failed,
        }
        while (told := self._next()) is not None:
            for kind, *details in told:
                if kind not in _BRIEF:
                    self.ring_now()
                try:
                    handlers[kind](*details)
                except BaseException:  # A callback may raise `SystemExit`.
                    # One task that goes wrong must not keep the others from completing.
                    traceback.print_exc(file=sys.__stderr__)
        self._end()
        self.ring_now()

    def _next(self) -> list[Told] | None:
        bells, self._bells = self._bells, []
        return self.link.next(bells)

    def _part(self, name: str, rank: int) -> Part | None:
        task = self._tasks.get(name)
        if task is None:
            return None
        # The kernel has opened what we share.
        task.file = None
        part = task.part(rank)
        if part is not None and part.rank != rank:
            if part.rank is not None:
                part.restart()
            part.on_rank(rank)
        return part

    def _stream(self, name: str, rank: int, stream: str, text: str) -> None:
        if part := self._part(name, rank):
            part.on_stream(stream, text)

    def _publish(self, name: str, rank: int, *message: Any) -> None:
        if part := self._part(name, rank):
            part.on_publish(*message)

    def _result(self, name: str, rank: int, count: int, content: bytes) -> None:
        if part := self._part(name, rank):
            part.on_result(count, content)

    def _payload(self, name: str, rank: int, content: bytes) -> None:
        """Nothing to do: the pager is a notebook's."""

    def _value(self, name: str, rank: int, data: bytes, blobs: list[Any]) -> None:
        if part := self._part(name, rank):
            part.on_value(data, blobs)

    def _data(self, name: str, rank: int, data: bytes, blobs: list[Any]) -> None:
        if part := self._part(name, rank):
            part.on_data(data, blobs)

    def _done(self, name: str, rank: int, outcome: Any, count: int, started: float, completed: float) -> None:
        part = self._part(name, rank)
        if part is None:
            return
        error: Exception | None = None
        if outcome == "aborted":
            error = TaskAborted(f"task {part.msg_id} was aborted before it began")
        else:
            part.on_times(count, started, completed)
        if isinstance(outcome, tuple):
            ename, evalue, lines = outcome
            error = RemoteError(ename, evalue, "\n".join(lines), part.engine_info)
        self._conclude(part, error)

    def _lost(self, name: str, rank: int, why: str, lives: bool) -> None:
        if not lives:
            self.engines.died(rank)
        if part := self._part(name, rank):
            ename = "KeyboardInterrupt" if lives else "EngineError"
            self._conclude(part, RemoteError(ename, why, "", part.engine_info if lives else {}))

    def _conclude(self, part: Part, error: Exception | None) -> None:
        """End a part; where the kernel may try again elsewhere, only what comes last counts."""
        if part.task.balanced:
            part.error = error or part.error
        else:
            part.finish(error)

    def _refused(self, name: str, ename: str, why: str) -> None:
        self._finish(
            name, lambda: TaskAborted(why) if ename == "TaskAborted" else RemoteError(ename, why, "", {})
        )

    def _over(self, name: str) -> None:
        task = self._tasks.get(name)
        if task is not None and task.balanced:
            self._finish(name, lambda: None)
        else:
            self._finish(
                name, lambda: RemoteError("EngineError", "the engine never said how it ended", "", {})
            )

    def _finish(self, name: str, why: Callable[[], Exception | None]) -> None:
        task = self._tasks.pop(name, None)
        if task is None:
            return
        task.file = None
        for part in task:
            if not part.done:
                part.finish(why())
        task.release()
        if task.hold is not None:
            weakref.finalize(task, self._let_go_of, name, task.hold).atexit = False

    def _answer(self, number: int, data: bytes) -> None:
        if (answer := self._answers.pop(number, None)) is not None:
            answer.set_result(json.loads(data) if data else None)

    def _failed(self, number: int, ename: str, evalue: str) -> None:
        if (answer := self._answers.pop(number, None)) is not None:
            answer.set_exception(RemoteError(ename, evalue, "", {}))

    def _end(self) -> None:
        """The kernel is gone, and with it everything that was waited for."""
        self.ended = True
        why = f"the connection to the engines has ended: {self._restart}"
        for name in list(self._tasks):
            self._finish(name, lambda: RemoteError("EngineError", why, "", {}))
        for number in list(self._answers):
            self._answers.pop(number).set_exception(EngineError(why))
        self.engines.take("failed", why, [])
