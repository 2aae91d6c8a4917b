"""`Part`: one task on one engine, from its submission to its outcome.

Parts are filled by the thread of `parallel_python.client.link`, and by no other; whoever waits for one
reads it after it is done. Values stay pickled until somebody wants them. **Invariant**: what others may do at
any time (ask for metadata, begin or end to listen, wait) happens under one lock, which is never held while
code of others runs.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from parallel_python import bulk
from parallel_python.client.errors import RemoteError, TaskAborted
from parallel_python.client.metadata import Metadata, time_of
from parallel_python.client.printed import Printed
from parallel_python.serialize import loads

if TYPE_CHECKING:
    from parallel_python.client.task import Task

#: What somebody who shows output while it comes is called with: part, kind, content.
Listener = Callable[["Part", str, Any], None]

_changing = threading.Lock()


def split_id(msg_id: str) -> tuple[str, int | None]:
    """Take a part's id apart: its task's name, and its engine unless the kernel has chosen it."""
    name, mark, rank = msg_id.rpartition("@")
    return (name, int(rank)) if mark and rank.isdecimal() else (msg_id, None)


class Hold:
    """What is known of values that the kernel holds for a task; it outlives the task.

    Attributes
    ----------
    taken : bool
        Whether somebody here has had a value. One that nobody has looked at can be asked for by its id.
    """

    taken = False


class Part:
    """One task on one engine.

    Parameters
    ----------
    task : Task
        What it is a part of.
    rank : int or None
        The engine; None until it is known which one the kernel has chosen.

    Attributes
    ----------
    error : Exception or None
        What it ended with, when it is done and has failed.
    """

    __slots__ = (
        "__weakref__", "_metadata", "_payload", "_printed", "_value", "done", "error", "listeners", "msg_id",
        "rank", "received", "task", "times", "waiting", "watchers",
    )  # fmt: skip

    def __init__(self, task: Task, rank: int | None) -> None:
        self.task = task
        self.rank = rank
        self.msg_id = task.name if rank is None else f"{task.name}@{rank}"
        self.done = False
        self.error: Exception | None = None
        #: When it ended, in seconds since 1970.
        self.received: float | None = None
        #: When it began and ended on its engine.
        self.times: tuple[float, float] | None = None
        # Tuples: what thousands of parts share costs the garbage collector nothing.
        self.watchers: tuple[Callable[[Part], None], ...] = ()
        self.listeners: tuple[Listener, ...] = ()
        self.waiting: threading.Event | None = None
        self._metadata: Metadata | None = None
        self._printed: Printed | None = None
        self._payload: tuple[bytes, Sequence[memoryview]] | None = None
        self._value: Any = None

    @property
    def metadata(self) -> Metadata:
        """What is known of it; made when it is first asked for, because most parts are never asked."""
        if self._metadata is None or self._printed is not None:
            with _changing:
                return self._whole_metadata()
        return self._metadata

    def _whole_metadata(self) -> Metadata:
        """Return the metadata, with all that was printed; under the lock."""
        metadata = self._made_metadata()
        if self._printed is not None:
            self._printed.join(metadata)
        return metadata

    def _made_metadata(self) -> Metadata:
        if self._metadata is None:
            self._metadata = self._new_metadata()
        return self._metadata

    def _new_metadata(self) -> Metadata:
        task = self.task
        metadata = Metadata(
            msg_id=self.msg_id, submitted=time_of(task.submitted), label=task.label, engine_id=self.rank,
            after=task.after, follow=task.follow, execute_input=task.code, is_broadcast=task.broadcast,
            is_coalescing=task.coalescing,
        )  # fmt: skip
        self._note_engine(metadata)
        self._note_times(metadata)
        self._note_end(metadata)
        return metadata

    def _note_engine(self, metadata: Metadata) -> None:
        metadata["engine_id"] = self.rank
        metadata["engine_uuid"] = None if self.rank is None else self.task.uuid_of(self.rank)

    def _note_times(self, metadata: Metadata) -> None:
        if self.times is not None:
            metadata["started"], metadata["completed"] = map(time_of, self.times)

    def _note_end(self, metadata: Metadata) -> None:
        if self.received is None:
            return
        metadata["received"], metadata["error"] = time_of(self.received), self.error
        if isinstance(self.error, TaskAborted):
            metadata["status"] = "aborted"
        else:
            metadata["status"] = "ok" if self.error is None else "error"

    @property
    def engine_info(self) -> dict[str, Any]:
        """Where it ran, as exceptions carry it."""
        uuid_of = self.task.uuid_of
        engine_uuid = None if self.rank is None else uuid_of(self.rank)
        return {"engine_id": self.rank, "engine_uuid": engine_uuid, "method": self.task.method}

    def value(self) -> Any:
        """Return what it gave, or raise what it raised."""
        if self.error is not None:
            raise self.error
        payload = self._payload
        if payload is not None:
            value = loads(*payload)
            with _changing:
                if self._payload is not None:
                    self._value, self._payload = value, None
            if self.task.hold is not None:
                self.task.hold.taken = True
        return self._value

    def value_or_error(self) -> Any:
        """Return what it gave, or the exception it ended with."""
        return self.value() if self.error is None else self.error

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is done; whether it is."""
        with _changing:
            if self.done:
                return True
            if self.waiting is None:
                self.waiting = threading.Event()
            waiting = self.waiting
        return waiting.wait(timeout)

    def watch(self, watcher: Callable[[Part], None]) -> None:
        """Have `watcher` called when it is done: now, if it is."""
        with _changing:
            if not self.done:
                self.watchers += (watcher,)
                return
        watcher(self)

    def listen(self, listener: Listener) -> list[tuple[str, Any]]:
        """Have `listener` called with what comes to be shown; what there is already is returned."""
        with _changing:
            metadata = self._whole_metadata()
            self.listeners += (listener,)
            there = [(stream, metadata[stream]) for stream in ("stdout", "stderr") if metadata[stream]]
            there += [("display_data", output) for output in metadata["outputs"]]
            if metadata["execute_result"] is not None:
                there.append(("execute_result", metadata["execute_result"]))
        return there

    def stop_listening(self, listener: Listener) -> None:
        """Have a listener called no more."""
        with _changing:
            self.listeners = tuple(one for one in self.listeners if one != listener)

    # From here on: for the link's thread alone.

    def on_rank(self, rank: int) -> None:
        """Note which engine runs it."""
        with _changing:
            self.rank = rank
            if self._metadata is not None:
                self._note_engine(self._metadata)

    def restart(self) -> None:
        """Forget what an attempt has shown that failed and is repeated elsewhere."""
        with _changing:
            self._metadata, self._payload, self._value, self.times = None, None, None, None
            self._printed, self.error = None, None

    def on_stream(self, stream: str, text: str) -> None:
        """Take in text."""
        with _changing:
            if self._printed is None:
                self._printed = Printed()
            self._printed.add(self._made_metadata(), stream, text)
            listeners = self.listeners
        self._tell(listeners, stream, text)

    def on_publish(self, msg_type: str, content: bytes, metadata: bytes, buffers: Sequence[bytes]) -> None:
        """Take in a display, its update, or that all is cleared."""
        message = json.loads(content)
        with _changing:
            known = self._made_metadata()
            if msg_type == "display_data":
                known["outputs"].append(message)
            elif msg_type == "update_display_data":
                _update(known["outputs"], message)
            elif msg_type == "clear_output":
                known["outputs"].clear()
                known.update(stdout="", stderr="")
                self._printed = None
            listeners = self.listeners
        self._tell(listeners, msg_type, message)

    def on_result(self, count: int, content: bytes) -> None:
        """Take in the value of a cell's last expression, as it is shown."""
        message = {**json.loads(content), "execution_count": count}
        with _changing:
            self._made_metadata()["execute_result"] = message
            listeners = self.listeners
        self._tell(listeners, "execute_result", message)

    def on_value(self, data: bytes, blobs: Sequence[bytes | bulk.Shared]) -> None:
        """Take in what a call returned."""
        try:
            self._payload = (data, bulk.receive(blobs) if blobs else ())
        except OSError as error:
            self.error = RemoteError(
                "EngineError", f"the result is no longer there ({error})", "", self.engine_info
            )
        self._note_hold(blobs)

    def on_data(self, data: bytes, blobs: Sequence[bytes | bulk.Shared]) -> None:
        """Take in what ``publish_data`` gave."""
        try:
            self.metadata["data"].update(loads(data, bulk.receive(blobs)))
        except Exception as error:
            self.metadata["data"]["error"] = error
        self._note_hold(blobs)

    def _note_hold(self, blobs: Sequence[bytes | bulk.Shared]) -> None:
        if blobs and self.task.hold is None:
            self.task.hold = Hold()

    def on_times(self, count: int, started: float, completed: float) -> None:
        """Note when it ran, by its engine's clock."""
        with _changing:
            self.times = (started, completed)
            if self._metadata is not None:
                self._note_times(self._metadata)
        if self.task.method == "execute":
            from parallel_python.client.reply import ExecuteReply

            self._value = ExecuteReply(self.msg_id, self.metadata, count)

    def finish(self, error: Exception | None) -> None:
        """End it, and tell everybody who waits for it."""
        self.error = self.error or error
        with _changing:
            self.received = time.time()
            if self._metadata is not None:
                self._note_end(self._metadata)
            if self._printed is not None:
                self._whole_metadata()
                self._printed = None
            self.done = True
            watchers, self.watchers, waiting = self.watchers, (), self.waiting
            self.listeners = ()
        if waiting is not None:
            waiting.set()
        for watcher in watchers:
            watcher(self)

    def _tell(self, listeners: tuple[Listener, ...], kind: str, content: Any) -> None:
        for listener in listeners:
            listener(self, kind, content)


def _update(outputs: list[dict[str, Any]], message: dict[str, Any]) -> None:
    """Replace what was shown under the same display id."""
    wanted = message.get("transient", {}).get("display_id")
    for output in outputs:
        if wanted is not None and output.get("transient", {}).get("display_id") == wanted:
            output["data"], output["metadata"] = message["data"], message["metadata"]
