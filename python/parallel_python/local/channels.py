"""What stands where ipykernel expects zeromq sockets and streams.

A `Channel` only names one of Jupyter's channels to `RustSession.send`; it holds no state. What ipykernel
and its GUI loops call on a stream is here too, answered by the inbox behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from _parallel_python import Inbox, Link

# A message on the link: identities, header, parent header, metadata, content, buffers.
Parts = tuple[list[bytes], bytes, bytes, bytes, bytes, list[bytes]]


class Channel:
    """One of Jupyter's channels, as `Session.send` takes it.

    Parameters
    ----------
    number : int
        The channel's number on the link.
    name : str
        Its name, for people.
    """

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self.name = name
        self.closed = False

    def __repr__(self) -> str:
        return f"<channel {self.name}>"

    def post(self, link: Link, parts: Parts) -> None:
        """Send a message."""
        link.send(self.number, *parts)

    def on_recv(self, callback: object, copy: bool = True) -> None:
        """Do nothing: the inboxes are read by `LocalApp`."""

    def flush(self, flag: object = None, limit: int | None = None) -> int:
        """Do nothing: what was sent has been written."""
        return 0


class ShellChannel(Channel):
    """The shell channel, with the two calls by which GUI loops learn of a waiting message."""

    def __init__(self, inbox: Inbox) -> None:
        super().__init__(SHELL, "shell")
        self.inbox = inbox

    def flush(self, flag: object = None, limit: int | None = None) -> int:
        """Return how many messages wait: not 0 makes a GUI loop give way to them."""
        return self.inbox.waiting()

    def getsockopt(self, option: int) -> int:
        """Return the descriptor that becomes readable when a message waits (only ``FD`` is asked for)."""
        return self.inbox.fileno()


class IopubChannel(Channel):
    """The iopub channel, which stands for ipykernel's iopub thread too."""

    def __init__(self) -> None:
        super().__init__(IOPUB, "iopub")

    def schedule(self, function: Callable[[], Any]) -> None:
        """Call `function` at once: no thread stands between us and the link."""
        function()


# As in `fabric::message::local::Channel`.
SHELL, CONTROL, STDIN, IOPUB = range(4)
