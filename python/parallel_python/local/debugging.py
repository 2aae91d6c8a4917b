"""What ipykernel's debugger needs of sockets: one to the shell, and one to debugpy.

The debugger talks to debugpy over TCP within this process, with a zeromq STREAM socket; that is made only
when a debugger is first used. Its one request to the shell goes straight to the main event loop.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import zmq
from _parallel_python import Link
from jupyter_client.session import json_unpacker
from tornado.ioloop import IOLoop
from zmq.eventloop.zmqstream import ZMQStream

from .channels import SHELL, Channel, Parts

# Names the debugger where clients have a routing identity.
IDENTITY = b"debugger"


class DebugShell(Channel):
    """The debugger's way to the shell: a request goes in, its reply comes out.

    Parameters
    ----------
    serve : callable
        Begins with a request, from any thread.
    """

    def __init__(self, serve: Callable[[Parts, str], None]) -> None:
        super().__init__(SHELL, "debug shell")
        self._serve = serve
        self._replies: SimpleQueue[dict[str, Any]] = SimpleQueue()

    def getsockopt(self, option: int) -> bytes:
        """Return our identity (only ``ROUTING_ID`` is asked for)."""
        return IDENTITY

    def post(self, link: Link, parts: Parts) -> None:
        """Have the shell run a request."""
        self._serve(parts, json_unpacker(parts[1])["msg_id"])

    def reply(self, message: dict[str, Any]) -> None:
        """Take the reply."""
        self._replies.put(message)

    def receive(self) -> tuple[list[bytes], dict[str, Any]]:
        """Wait for the reply, as `Session.recv` returns it."""
        return [IDENTITY], self._replies.get()


class DebugpyStream:
    """A `ZMQStream` of type STREAM that is made when it is first used.

    Parameters
    ----------
    io_loop : IOLoop
        The control thread's, in which all calls but the first `on_recv` are made.
    """

    def __init__(self, io_loop: IOLoop) -> None:
        self._io_loop = io_loop
        self._on_recv: tuple[Any, bool] | None = None
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._stream: ZMQStream | None = None

    def on_recv(self, callback: Callable[[list[Any]], Any], copy: bool = True) -> None:
        """Have `callback` called with what arrives."""
        self._on_recv = (callback, copy)

    @property
    def stream(self) -> ZMQStream:
        """The stream itself."""
        if self._stream is None:
            self._context = zmq.Context()
            self._stream = ZMQStream(self._context.socket(zmq.STREAM), self._io_loop)
            if self._on_recv is not None:
                callback, copy = self._on_recv
                self._stream.on_recv(callback, copy=copy)
        return self._stream

    @property
    def socket(self) -> zmq.Socket[bytes]:
        """The socket."""
        return self.stream.socket

    def send_multipart(self, parts: Any) -> None:
        """Send to debugpy."""
        self.stream.send_multipart(parts)

    def close(self) -> None:
        """Drop the connection without waiting for anything to be sent."""
        if self._context is not None:
            self._context.destroy(linger=0)
