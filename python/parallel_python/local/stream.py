"""`sys.stdout` and `sys.stderr` of a cell.

**Invariant**: text reaches the link in the order in which it was written, over both streams, and names the
request that wrote it: the one of the writing task or thread, else the last one. In a forked child
the text goes to the descriptor, which the parent captures, a line at a time.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from contextvars import ContextVar, Token
from io import TextIOBase
from typing import Any

from ipykernel.iostream import OutStream as IpykernelOutStream
from jupyter_client.session import extract_header

from .session import RustSession, header_bytes

Hook = Callable[[dict[str, Any]], dict[str, Any] | None]

# What a forked child writes at once although the line has not ended, in characters.
LONGEST_LINE = 4096


class OutStream(IpykernelOutStream):
    """One of the two text streams, with what ipykernel and its users expect of its `OutStream`.

    Nothing of ipykernel's class but its name and type is used: libraries look for these.

    Parameters
    ----------
    session : RustSession
        Its link takes the text.
    pub_thread : Any
        Kept for those who look for it.
    name : {'stdout', 'stderr'}
        Which stream.
    """

    __module__ = "ipykernel.iostream"
    encoding = "UTF-8"
    # Text goes to the kernel without delay beyond a few milliseconds of gathering.
    flush_interval = 0.02

    def __init__(self, session: RustSession, pub_thread: Any, name: str) -> None:
        # Not the initialiser of ipykernel's class, which would start a thread and capture descriptors.
        TextIOBase.__init__(self)
        # What ipykernel before 7.2 writes to from the threads it watches, and what its `close` looks at.
        self._thread_to_parent: dict[int, int] = {}
        self._thread_to_parent_header: dict[int, dict[str, Any]] = {}
        self._should_watch = False
        self.echo = None
        self.session = session
        self.pub_thread = pub_thread
        self.name = name
        self.topic = b"stream." + name.encode()
        self._number = ("stdout", "stderr").index(name)
        self._write = session.link.write
        self._drain = session.link.drain
        self._local = threading.local()
        # Whether any thread ever had a hook: without one, a write is one call.
        self._hooked = False
        self._in_child = False
        # In a forked child, the beginning of a line that has not ended.
        self._unfinished = ""
        os.register_at_fork(after_in_child=self._enter_child)
        self._parent: ContextVar[tuple[dict[str, Any], bytes]] = ContextVar(f"{name}_parent")
        self._last_parent: tuple[dict[str, Any], bytes] = ({}, b"")

    def _enter_child(self) -> None:
        self._in_child = True
        self._unfinished = ""
        self._write = self._write_lines

    def _write_lines(self, number: int, string: str, parent: bytes) -> int:
        """Write whole lines to the descriptor: children write there side by side."""
        text = self._unfinished + string
        end = text.rfind("\n") + 1 if len(text) < LONGEST_LINE else len(text)
        self._unfinished = text[end:]
        if end:
            self.session.link.write(number, text[:end], parent)
        return len(string)

    def _is_master_process(self) -> bool:
        return not self._in_child

    def write(self, string: str) -> int:
        """Write text; returns its length."""
        if self._hooked:
            return self._write_through(string)
        return self._write(self._number, string, self._parent.get(self._last_parent)[1])

    def _write_through(self, string: str) -> int:
        """Show the text to the hooks of this thread as a message, and send what they make of it."""
        hooks = getattr(self._local, "hooks", None)
        if not hooks:
            return self._write(self._number, string, self._parent.get(self._last_parent)[1])
        message = self.session.msg("stream", {"name": self.name, "text": string}, parent=self.parent_header)
        for hook in hooks:
            changed = hook(message)
            if changed is None:
                return len(string)
            message = changed
        self.session.send(self.pub_thread, message, ident=self.topic)
        return len(string)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each of `lines`."""
        for line in lines:
            self.write(line)

    def writable(self) -> bool:
        """Tell that it can be written to."""
        return True

    def flush(self) -> None:
        """Send what has been written so far, and what reached the descriptors before."""
        if self._unfinished:
            unfinished, self._unfinished = self._unfinished, ""
            self.session.link.write(self._number, unfinished, b"")
        self._drain()

    def isatty(self) -> bool:
        """Tell that it is no terminal."""
        return False

    def fileno(self) -> int:
        """Return the descriptor, which is captured: what a child process writes to it is shown."""
        return self._number + 1

    @property
    def parent_header(self) -> dict[str, Any]:
        """The header of the request that text written here and now belongs to."""
        return self._parent.get(self._last_parent)[0]

    @parent_header.setter
    def parent_header(self, header: dict[str, Any]) -> None:
        self._last_parent = (header, header_bytes(header) if header else b"")
        self._parent.set(self._last_parent)

    def set_parent(self, parent: dict[str, Any]) -> None:
        """Set the request for this context, and for whoever has none of their own."""
        self.parent_header = extract_header(parent)

    def set_thread_parent(self, parent: dict[str, Any]) -> Token[tuple[dict[str, Any], bytes]]:
        """Set the request for this context alone; returns what `reset_thread_parent` takes."""
        header = extract_header(parent)
        return self._parent.set((header, header_bytes(header) if header else b""))

    def reset_thread_parent(self, token: Token[tuple[dict[str, Any], bytes]]) -> None:
        """Undo `set_thread_parent`."""
        self._parent.reset(token)

    def register_hook(self, hook: Hook) -> None:
        """Have `hook` see what this thread writes: it returns a message to send, or None."""
        if not hasattr(self._local, "hooks"):
            self._local.hooks = []
        self._local.hooks.append(hook)
        self._hooked = True

    def unregister_hook(self, hook: Hook) -> bool:
        """Undo `register_hook`; returns whether it was registered."""
        hooks = getattr(self._local, "hooks", [])
        if hook not in hooks:
            return False
        hooks.remove(hook)
        return True
