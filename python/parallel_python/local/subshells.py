"""Subshells: threads that run cells beside the main shell, each with its inbox and event loop.

This stands for ipykernel's shell channel thread and its manager. The link's reader thread routes messages by
their ``subshell_id``, so no thread of Python's stands between the client and a subshell.

**Invariant**: subshells are made and deleted in the control thread alone; anyone may ask about them.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from contextvars import copy_context
from typing import Any

from _parallel_python import Inbox
from ipykernel.thread import BaseThread

from .channels import ShellChannel
from .kernel import LocalKernel, Request


class UnknownSubshellError(KeyError):
    """A subshell id that names no subshell; ipykernel has the same from 7.4 on."""

    def __str__(self) -> str:
        return f"Unknown subshell_id {self.args[0]!r}"


class Subshell(BaseThread):
    """One subshell.

    Parameters
    ----------
    kernel : LocalKernel
        Runs its requests.
    subshell_id : str
        Its id.
    inbox : Inbox
        Its requests.
    """

    def __init__(self, kernel: LocalKernel, subshell_id: str, inbox: Inbox) -> None:
        super().__init__(name=f"subshell-{subshell_id}", daemon=True)
        self.kernel = kernel
        self.subshell_id = subshell_id
        self.inbox = inbox
        self.aborting = False
        self.asyncio_lock = asyncio.Lock()
        self._context = copy_context()
        self.io_loop.asyncio_loop.add_reader(inbox.fileno(), self.serve_waiting)

    def serve_waiting(self) -> None:
        """Begin with every request that waits."""
        while (item := self.inbox.take()) is not None:
            _, parts, msg_id, _ = item
            self.kernel.serve(Request(parts, msg_id, self.subshell_id), self._context)

    def serve_from_elsewhere(self, request: Request) -> None:
        """Begin with a request that did not come through the inbox; may be called in any thread."""
        self.io_loop.asyncio_loop.call_soon_threadsafe(self.kernel.serve, request, self._context)

    def abort(self) -> None:
        """Abort the requests that wait now, and go on with what comes later."""
        self.aborting = True
        self.serve_waiting()
        asyncio.get_running_loop().create_task(self._stop_aborting())

    async def _stop_aborting(self) -> None:
        # The lock is handed on in order, so that this comes after all that waited for it.
        async with self.asyncio_lock:
            self.aborting = False


class Subshells:
    """What ipykernel calls the shell channel thread, its manager, and the sockets between them.

    Parameters
    ----------
    channel : ShellChannel
        Where every shell sends its replies.
    """

    def __init__(self, channel: ShellChannel) -> None:
        self.parent_thread = threading.main_thread()
        self.manager = self
        # ipykernel's control thread asks for subshells by sending JSON to a socket and receiving the answer.
        self.control_to_shell_channel = self.from_socket = self
        self._channel = channel
        self._kernel: LocalKernel | None = None
        self._lock = threading.Lock()
        self._subshells: dict[str, Subshell] = {}
        self._answer: dict[str, Any] = {}

    def serve_with(self, kernel: LocalKernel) -> None:
        """Say which kernel runs the requests."""
        self._kernel = kernel

    def set_on_recv_callback(self, callback: object) -> None:
        """Do nothing: the inboxes are read by `LocalApp` and `Subshell`."""

    def send_json(self, request: dict[str, Any]) -> None:
        """Do what the control thread asks for; `recv_json` gives the answer."""
        try:
            self._answer = {"status": "ok", **self._do(request)}
        except Exception as error:
            self._answer = {"status": "error", "evalue": str(error)}

    def recv_json(self) -> dict[str, Any]:
        """Return the answer to `send_json`."""
        return self._answer

    def _do(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["type"]:
            case "create":
                return {"subshell_id": self._create()}
            case "delete":
                self._delete(request["subshell_id"])
                return {}
            case "list":
                return {"subshell_id": self.list_subshell()}
            case other:
                raise RuntimeError(f"Unrecognised message type {other!r}")

    def _create(self) -> str:
        subshell_id = str(uuid.uuid4())
        inbox = self._kernel.session.link.open_subshell(subshell_id)
        subshell = Subshell(self._kernel, subshell_id, inbox)
        with self._lock:
            self._subshells[subshell_id] = subshell
        subshell.start()
        return subshell_id

    def _delete(self, subshell_id: str) -> None:
        subshell = self.get(subshell_id)
        self._kernel.session.link.close_subshell(subshell_id)
        subshell.stop()
        subshell.join()
        with self._lock:
            del self._subshells[subshell_id]
        # It stopped without looking at these.
        while (item := subshell.inbox.take()) is not None:
            _, parts, msg_id, _ = item
            self._kernel.refuse(parts, msg_id, UnknownSubshellError(subshell_id))

    def get(self, subshell_id: str) -> Subshell:
        """Return a subshell.

        Raises
        ------
        UnknownSubshellError
            When there is none of that id.
        """
        with self._lock:
            try:
                return self._subshells[subshell_id]
            except KeyError:
                raise UnknownSubshellError(subshell_id) from None

    def abort(self, subshell_id: str) -> None:
        """Abort what waits in a subshell; called in its own thread."""
        self.get(subshell_id).abort()

    def list_subshell(self) -> list[str]:
        """Return the ids of all subshells."""
        with self._lock:
            return list(self._subshells)

    def subshell_id_from_thread_id(self, thread_id: int) -> str | None:
        """Return the id of the subshell that a thread runs; None for the main shell's."""
        if thread_id == self.parent_thread.ident:
            return None
        with self._lock:
            for subshell_id, subshell in self._subshells.items():
                if subshell.ident == thread_id:
                    return subshell_id
        raise RuntimeError(f"Thread id {thread_id!r} does not correspond to a subshell of this kernel")

    def get_subshell_aborting(self, subshell_id: str) -> bool:
        """Tell whether what waits in a subshell is being aborted."""
        return self.get(subshell_id).aborting

    def set_subshell_aborting(self, subshell_id: str, aborting: bool) -> None:
        """Set what `get_subshell_aborting` tells."""
        self.get(subshell_id).aborting = aborting

    def get_subshell_asyncio_lock(self, subshell_id: str) -> asyncio.Lock:
        """Return the lock that lets a subshell run one request at a time."""
        return self.get(subshell_id).asyncio_lock

    def get_subshell_to_shell_channel_socket(self, subshell_id: str | None) -> ShellChannel:
        """Return where a shell sends its replies: to the same channel, whichever it is."""
        return self._channel

    def get_shell_channel_to_subshell_pair(self, subshell_id: str | None) -> Any:
        """Return what GUI loops take the main shell's stream from."""
        return _Pair(self._channel)


class _Pair:
    """A pair of sockets of which only the receiving end is asked for."""

    def __init__(self, channel: ShellChannel) -> None:
        self.to_stream = channel
