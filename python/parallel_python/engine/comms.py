"""Comms of an engine: widgets that live here and are shown in the notebook.

What a comm sends goes out like a display, as a part of the cell that runs or ran last. What the frontend says
to a comm comes as a task, so it waits for the cell that runs and its callbacks are on the main thread. The
kernel knows whose a comm is.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from parallel_python.engine.display import flush
from parallel_python.engine.messages import pack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _parallel_python import Engine

    from parallel_python.engine.interrupts import Interrupts

#: Stands for the id of the request whose cell runs, which the kernel knows and puts in.
PARENT = "parallel-python-parent"


class Message(NamedTuple):
    """A frontend's message as it comes: JSON texts and buffers."""

    header: bytes
    content: bytes
    metadata: bytes
    buffers: list[bytes]

    def parse(self) -> dict[str, Any]:
        """Return it as `comm`'s callbacks take it."""
        header = json.loads(self.header)
        return {
            "header": header,
            "msg_id": header.get("msg_id"),
            "msg_type": header.get("msg_type"),
            "parent_header": {},
            "metadata": json.loads(self.metadata or b"{}"),
            "content": json.loads(self.content),
            "buffers": [memoryview(buffer) for buffer in self.buffers],
        }


class Parent:
    """What an output widget asks of a kernel: which request the output of now belongs to."""

    def __init__(self) -> None:
        self.header: dict[str, Any] = {"msg_id": PARENT}

    def get_parent(self, channel: str | None = None) -> dict[str, Any]:
        """Return the request, as far as it is known here."""
        return {"header": self.header}


class EngineComms:
    """Puts an engine's comms in place of the ones that say nothing, if the package `comm` is there."""

    def __init__(self, engine: Engine, interrupts: Interrupts) -> None:
        self.engine = engine
        self.interrupts = interrupts
        self.parent = Parent()
        try:
            import comm
            from comm.base_comm import BaseComm, CommManager
        except ImportError:
            # Whoever makes widgets brings it along; it is found when the engines start anew.
            self.manager = None
            return
        parent, publish = self.parent, self.publish

        class EngineComm(BaseComm):
            """A comm whose messages go to the notebook."""

            kernel = parent

            def publish_msg(
                self,
                msg_type: str,
                data: dict[str, Any] | None = None,
                metadata: dict[str, Any] | None = None,
                buffers: list[bytes] | None = None,
                **keys: Any,
            ) -> None:
                """Send a message of this comm."""
                content = {"data": data or {}, "comm_id": self.comm_id, **keys}
                publish(msg_type, content, metadata, buffers)

        manager = CommManager()
        comm.create_comm = EngineComm
        comm.get_comm_manager = lambda: manager
        self.manager = manager

    def publish(
        self,
        msg_type: str,
        content: dict[str, Any],
        metadata: dict[str, Any] | None,
        buffers: list[bytes] | None,
    ) -> None:
        """Send a comm's message, after what was printed before."""
        if self.engine.is_fork():
            return
        flush()
        parts = [memoryview(buffer).tobytes() for buffer in buffers or []]
        self.engine.publish(msg_type, pack(content), pack(metadata or {}), parts)

    def handle(self, message: Message) -> None:
        """Hand a message to its comm; raises what the comm's callbacks raise."""
        parsed = message.parse()
        comm_id = parsed["content"].get("comm_id")
        comm = None if self.manager is None else self.manager.comms.get(comm_id)
        if comm is None:
            return
        with self._belonging_to(parsed["header"]):
            if parsed["msg_type"] == "comm_close":
                del self.manager.comms[comm_id]
                comm._closed = True
                comm.handle_close(parsed)
            else:
                comm.handle_msg(parsed)

    @contextmanager
    def _belonging_to(self, header: dict[str, Any]) -> Iterator[None]:
        """Let an interrupt end the callbacks, and output widgets know what they capture."""
        self.parent.header = header
        try:
            if self.interrupts.allow():
                raise KeyboardInterrupt
            yield
        finally:
            self.interrupts.keep()
            self.parent.header = {"msg_id": PARENT}
