"""`LocalKernel`: one request from its message to its end.

**Invariants**: every shell request gets one reply and then one `Finished`, even when its handler failed; both
come after all its output. The states busy and idle, and the abort of requests that wait behind a failed one,
are the kernel process's: nothing here sends the one or does the other for the main shell.
"""

from __future__ import annotations

import asyncio
import sys
from contextvars import Context
from dataclasses import dataclass
from typing import Any

from ipykernel.ipkernel import IPythonKernel
from ipykernel.jsonutil import json_clean
from jupyter_client.session import json_unpacker
from traitlets import Any as AnyTrait
from traitlets import Float

from .channels import Channel, Parts
from .debugger import DeferredDebugger, defer
from .history import record
from .interrupts import begin, end, interruptible
from .session import RustSession


@dataclass
class Request:
    """A request that is not finished.

    Attributes
    ----------
    parts : tuple
        The message.
    msg_id : str
        Its id.
    subshell_id : str or None
        The subshell that runs it; None for the main shell.
    in_turn : bool
        Whether it came in the main shell's turn, for which the next one waits.
    asked_by_debugger : bool
        Whether the debugger asks, and not a client: then the kernel process knows nothing of it.
    replied : bool
        Whether its reply has been sent.
    failed : bool
        Whether the requests behind it must not run.
    """

    parts: Parts
    msg_id: str
    subshell_id: str | None = None
    in_turn: bool = False
    asked_by_debugger: bool = False
    replied: bool = False
    failed: bool = False


class LocalKernel(IPythonKernel):
    """ipykernel's kernel, with requests from the link and without states of its own."""

    # Sockets there, channels here.
    shell_stream = AnyTrait()
    control_stream = AnyTrait()
    debugpy_stream = AnyTrait()
    # Made when somebody debugs.
    debugger_class = AnyTrait(DeferredDebugger)
    session: RustSession
    # Nothing has to settle: what was flushed has been written.
    _execute_sleep = Float(0.0).tag(config=True)

    def __init__(self, **kwargs: Any) -> None:
        self._open: dict[str, Request] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        defer()
        super().__init__(**kwargs)
        self.session.on_reply = self._note_reply

    async def poll_stopped_queue(self) -> None:
        """Say where the debugger has stopped, from the first debug request on."""
        if debugger := getattr(self, "debugger", None):
            await debugger.wait_until_made()
            await super().poll_stopped_queue()

    def serve(self, request: Request, context: Context) -> None:
        """Begin with a shell request in the running event loop.

        Parameters
        ----------
        request : Request
            The request.
        context : Context
            Where context variables of cells live on from one to the next.
        """
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._serve(request), context=context)
        # The loop itself holds tasks weakly.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, request: Request) -> None:
        self._open[request.msg_id] = request
        problem: BaseException | None = None
        try:
            await self.shell_main(request.subshell_id, request.parts)
        except (Exception, KeyboardInterrupt) as error:
            self.log.exception("A request failed outside its handler")
            problem = error
        finally:
            self._conclude(request, problem)

    def _conclude(self, request: Request, problem: BaseException | None) -> None:
        """Send the reply that is still due, and say that the request is over."""
        try:
            if not request.replied:
                self._reply_in_place(self.shell_stream, request, problem)
        except Exception:
            self.log.exception("A request could not be answered")
        finally:
            del self._open[request.msg_id]
            if not request.asked_by_debugger:
                count = self.shell.execution_count
                self.session.link.finished(request.msg_id, count, request.failed, request.in_turn)

    async def serve_control(self, parts: Parts, msg_id: str) -> None:
        """Answer a control request; runs in the control thread."""
        request = self._open[msg_id] = Request(parts, msg_id)
        problem: BaseException | None = None
        try:
            await self.dispatch_control(parts)
        except Exception as error:
            self.log.exception("A control request failed outside its handler")
            problem = error
        finally:
            del self._open[msg_id]
        if not request.replied:
            self._reply_in_place(self.control_stream, request, problem)

    def refuse(self, parts: Parts, msg_id: str, error: Exception) -> None:
        """Answer a request for a subshell that is not there; may be called in any thread."""
        self._reply_in_place(self.shell_stream, Request(parts, msg_id), error)
        self.session.link.finished(msg_id, self.shell.execution_count, False, False)

    def find_subshell(self, parts: Parts) -> str | None:
        """Return the subshell that a message is for; a comm's messages go where the comm was last used."""
        message = self.session.deserialize(parts)
        named: str | None = message["header"].get("subshell_id")
        if message["msg_type"] not in {"comm_msg", "comm_close"}:
            return named
        comm = self.comm_manager.get_comm(message["content"].get("comm_id"))
        route = getattr(comm, "_reply_subshell_for", None)
        return named if route is None else route(message["content"].get("data"), named)

    def _reply_in_place(self, stream: Channel, request: Request, problem: BaseException | None) -> None:
        """Answer a request whose handler did not, so that nobody waits for ever."""
        message = self.session.deserialize(request.parts, content=False)
        msg_type = message["msg_type"]
        stem, is_request, _ = msg_type.rpartition("_request")
        if not is_request:
            return
        content: dict[str, Any] = {
            "status": "error",
            "ename": type(problem).__name__ if problem else "RuntimeError",
            "evalue": str(problem) if problem else f"`{msg_type}` could not be answered; the log says why",
            "traceback": [],
        }
        if msg_type == "execute_request":
            content.update(execution_count=self.shell.execution_count - 1, user_expressions={}, payload=[])
        self.session.send(stream, f"{stem}_reply", content, message, ident=request.parts[0])

    def _note_reply(self, message: dict[str, Any]) -> bool:
        request = self._open.get(message["parent_header"].get("msg_id"))
        if request is None:
            return False
        request.replied = True
        if request.asked_by_debugger:
            self.debug_shell_socket.reply(message)
        return request.asked_by_debugger

    def _publish_status(self, status: str, channel: str, parent: dict[str, Any] | None = None) -> None:
        """Do nothing: the kernel process says when it is busy and idle."""

    def _abort_queues(self, subshell_id: str | None = None) -> None:
        """Have what waits behind a failed request aborted: by the kernel process, in a subshell by us."""
        if subshell_id is not None:
            self.shell_channel_thread.manager.abort(subshell_id)
            return
        request = self._open.get(self.get_parent("shell")["header"]["msg_id"])
        if request is not None:
            request.failed = True

    def pre_handler_hook(self) -> None:
        """Let interrupts into a handler; `do_execute` does so itself, around the cell alone."""
        if self.get_parent("shell")["header"]["msg_type"] != "execute_request":
            begin(self.session.link)

    def post_handler_hook(self) -> None:
        """Undo `pre_handler_hook`."""
        end(self.session.link)

    async def do_execute(
        self, code: str, silent: bool, store_history: bool = True, *args: Any, **kwargs: Any
    ) -> dict[str, Any]:
        """Run a cell, which may be interrupted; its reply may not."""
        try:
            with interruptible(self.session.link):
                reply: dict[str, Any] = await super().do_execute(code, silent, store_history, *args, **kwargs)
        except KeyboardInterrupt as error:
            # It came before the shell had begun, or after it had ended: there is no traceback to show.
            return self._interrupted(code, silent, store_history, error)
        count = self.shell.execution_count - 1
        is_kept = silent or not store_history or len(self.shell.history_manager.input_hist_raw) > count
        if reply.get("ename") == "KeyboardInterrupt" and not is_kept:
            # It came when the shell had counted the cell and not kept it.
            record(self.shell, code, count)
        return reply

    def _interrupted(
        self, code: str, silent: bool, store_history: bool, error: KeyboardInterrupt
    ) -> dict[str, Any]:
        content = {"ename": type(error).__name__, "evalue": str(error), "traceback": ["KeyboardInterrupt: "]}
        if not silent:
            self.send_response(self.iopub_socket, "error", content, ident=self._topic("error"))
            if store_history:
                record(self.shell, code, self.shell.execution_count)
        return {
            "status": "error",
            **content,
            "execution_count": self.shell.execution_count - 1,
            "user_expressions": {},
            "payload": [],
        }

    def do_history(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Look up history; cells of this session carry its number, however they were asked for.

        IPython calls the running session 0 when it is asked for a range, and by its number otherwise.
        """
        reply: dict[str, Any] = super().do_history(*args, **kwargs)
        number = self.shell.history_manager.session_number
        reply["history"] = [(session or number, *rest) for session, *rest in reply["history"]]
        return reply

    def _input_request(
        self, prompt: str, ident: list[bytes], parent: dict[str, Any], password: bool = False
    ) -> str:
        """Ask the client for a line of text and wait for it, without the GIL."""
        sys.stdout.flush()
        link = self.session.link
        link.discard_input()
        content = json_clean({"prompt": prompt, "password": password})
        try:
            self.session.send(self.stdin_socket, "input_request", content, parent, ident=ident)
            parts = link.wait_input()
        except KeyboardInterrupt:
            # From here, so that the traceback ends at the user's call.
            raise KeyboardInterrupt("Interrupted by user") from None
        try:
            value: str = json_unpacker(parts[4])["value"]
        except (KeyError, TypeError, ValueError):
            self.log.error("An input_reply without a value: %r", parts[4])
            value = ""
        if value == "\x04":
            raise EOFError
        return value

    def set_parent(self, ident: list[bytes], parent: dict[str, Any], channel: str = "shell") -> None:
        """Make this the request that output belongs to, that of C code and child processes too."""
        super().set_parent(ident, parent, channel)
        if channel == "shell":
            self.session.link.set_parent(getattr(parent["header"], "raw", b""))
