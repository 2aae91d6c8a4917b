"""`LocalApp`: the order in which the notebook's Python starts and ends.

User configuration, startup files, extensions and ``%gui`` settings are ipykernel's own business here;
sockets, heartbeat, connection file and the watch on the parent process are the kernel process's.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import os
import signal
import sys
from contextvars import copy_context
from io import FileIO, TextIOWrapper
from logging import StreamHandler
from types import FrameType
from typing import Any, ClassVar, NoReturn

from _parallel_python import Link
from ipykernel.control import ControlThread
from ipykernel.kernelapp import IPKernelApp
from jupyter_client.session import json_packer
from tornado.ioloop import IOLoop
from traitlets import Any as AnyTrait
from traitlets.utils.importstring import import_item

from .channels import CONTROL, STDIN, Channel, IopubChannel, Parts, ShellChannel
from .debugging import DebugpyStream, DebugShell
from .history import record, write_beside
from .kernel import LocalKernel, Request
from .magics import Spec, configured, register
from .names import known
from .place import note_statements
from .results import bind
from .session import RustSession
from .stream import OutStream
from .subshells import Subshells, UnknownSubshellError
from .tracebacks import hide_our_frames


class LocalApp(IPKernelApp):
    """ipykernel's application on the link.

    Attributes
    ----------
    link : Link
        The link to the kernel process.
    setup : tuple
        Session id, connection file and magics, as the kernel sent them.
    """

    link: Link = AnyTrait()
    setup: tuple[str, str, list[Spec]] = AnyTrait()
    classes: ClassVar[list[type]] = [LocalKernel, *IPKernelApp.classes[1:]]

    def init_connection_file(self) -> None:
        """Note where the connection file is; the kernel process owns it."""
        session_id, self.connection_file, _ = self.setup
        self.session = RustSession(parent=self, link=self.link, session=session_id)

    def init_poller(self) -> None:
        """Do nothing: the link ends when the kernel process does, and this one with it."""

    def init_sockets(self) -> None:
        """Make the channels, and the control thread that reads one of them."""
        self.shell_inbox = self.link.shell()
        self.control_inbox = self.link.control()
        self.shell_socket = ShellChannel(self.shell_inbox)
        self.control_socket = Channel(CONTROL, "control")
        self.stdin_socket = Channel(STDIN, "stdin")
        self.iopub_socket = self.iopub_thread = IopubChannel()
        self.control_thread = ControlThread(daemon=True)
        self.shell_channel_thread = Subshells(self.shell_socket)
        self.debug_shell_socket = DebugShell(self._serve_debugger)
        self.debugpy_socket = DebugpyStream(self.control_thread.io_loop)
        self._control_tasks: set[asyncio.Task[None]] = set()
        self.configure_tornado_logger()

    def init_heartbeat(self) -> None:
        """Do nothing: the kernel process answers heartbeats."""

    def write_connection_file(self, **kwargs: Any) -> None:
        """Do nothing: the kernel process owns the file."""

    def cleanup_connection_file(self) -> None:
        """Do nothing, as `write_connection_file`."""

    def log_connection_info(self) -> None:
        """Note the ports, for `connect_request`."""
        try:
            with open(self.connection_file, encoding="utf-8") as file:
                info = json.load(file)
        except (OSError, ValueError):
            info = {}
        names = ("shell", "iopub", "stdin", "hb", "control")
        self._ports = {name: info[f"{name}_port"] for name in names if f"{name}_port" in info}

    def init_io(self) -> None:
        """Put our streams and ipykernel's display hook in place."""
        sys.stdout.flush()
        sys.stderr.flush()
        self._keep_log_apart()
        sys.stdout = OutStream(self.session, self.iopub_thread, "stdout")
        sys.stderr = OutStream(self.session, self.iopub_thread, "stderr")
        # What C's library still holds was printed before the child prints anything.
        os.register_at_fork(before=self.link.drain, after_in_child=self.link.after_fork)
        self.displayhook = import_item(str(self.displayhook_class))(self.session, self.iopub_socket)
        sys.displayhook = self.displayhook
        self.patch_io()
        self._note_faults()

    def _note_faults(self) -> None:
        """Have a crash say which Python line it was to the log: the notebook's pipes end with the process.

        `os._exit` in this process counts as one: nothing else would say where the cell ended.
        """
        log, us, leave = self.link.log_descriptor(), os.getpid(), os._exit

        def _exit(status: int) -> NoReturn:
            if os.getpid() == us:
                os.write(log, f"os._exit({status!r}), most recent call first:\n{_callers(6)}".encode())
            leave(status)

        os._exit = _exit
        enable = faulthandler.enable
        faulthandler.enable = lambda file=log, *args, **kwargs: enable(file, *args, **kwargs)
        faulthandler.enable()

    def _keep_log_apart(self) -> None:
        """Have the log go where standard error went before the capture, and not into the notebook."""
        log = TextIOWrapper(FileIO(self.link.log_descriptor(), "w", closefd=False), line_buffering=True)
        for handler in self.log.handlers:
            if isinstance(handler, StreamHandler):
                handler.setStream(log)
        # traitlets leaves it to the handlers to drop records, after each has been made: four for every cell.
        self.log.setLevel(self.log_level)

    def init_kernel(self) -> None:
        """Make the kernel and its shell."""
        self.control_thread.start()
        self.kernel = LocalKernel.instance(
            parent=self,
            session=self.session,
            control_stream=self.control_socket,
            debugpy_stream=self.debugpy_socket,
            debug_shell_socket=self.debug_shell_socket,
            shell_stream=self.shell_socket,
            control_thread=self.control_thread,
            shell_channel_thread=self.shell_channel_thread,
            iopub_thread=self.iopub_thread,
            iopub_socket=self.iopub_socket,
            stdin_socket=self.stdin_socket,
            log=self.log,
            profile_dir=self.profile_dir,
            user_ns=self.user_ns,
        )
        write_beside(self.kernel.shell.history_manager)
        note_statements(self.kernel.shell, self.link)
        hide_our_frames(self.kernel.shell)
        self.kernel.record_ports({f"{name}_port": port for name, port in self._ports.items()})
        self.shell_channel_thread.serve_with(self.kernel)
        self.displayhook.get_execution_count = lambda: self.kernel.execution_count
        register(self.kernel, self.setup[2])

    def kernel_info(self) -> bytes:
        """Return the content of a ``kernel_info_reply`` as ipykernel gives it, as JSON."""
        return json_packer({"status": "ok", **self.kernel.kernel_info})

    def start(self) -> None:
        """Serve until the kernel says quit or the user does."""
        self.kernel.start()
        self.io_loop = IOLoop.current()
        loop = self.io_loop.asyncio_loop
        self._context = copy_context()
        loop.add_reader(self.shell_inbox.fileno(), self._take_shell)
        control_loop = self.control_thread.io_loop.asyncio_loop
        control_loop.call_soon_threadsafe(
            control_loop.add_reader, self.control_inbox.fileno(), self._take_control
        )
        # Without this, an interrupted `await` ends only when the loop wakes for something else.
        write_end, read_end = self.link.wakeup_descriptors()
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        loop.add_reader(read_end, self.link.woken)
        try:
            self.io_loop.start()
        finally:
            self.close()

    def close(self) -> None:
        """Stop the threads; called once, at the end."""
        if self.control_thread.is_alive():
            self.control_thread.stop()
            self.control_thread.join(timeout=1)
        self.debugpy_socket.close()
        sys.stdout.flush()

    def _take_shell(self) -> None:
        """Begin with what waits for the main shell."""
        while (item := self.shell_inbox.take()) is not None:
            match item:
                case ("message", parts, msg_id, in_turn):
                    self.kernel.serve(Request(parts, msg_id, in_turn=in_turn), self._context)
                case ("answered", parts):
                    message = self.session.deserialize(parts)
                    self.kernel.set_parent(parts[0], message, channel="control")
                case ("record", code, count):
                    record(self.kernel.shell, code, count)
                case ("bind", name, variable, show, _, count):
                    bind(self.kernel.shell, name, variable, show, count)
                case ("configured", *change):
                    configured(*change)
                case ("quit",):
                    self.io_loop.asyncio_loop.create_task(self._quit())

    async def _quit(self) -> None:
        """End what cells have started in our process group, then the loop."""
        try:
            await self.kernel._progressively_terminate_all_children()
        finally:
            self.io_loop.stop()

    def _take_control(self) -> None:
        """Begin with what waits on the control channel; runs in the control thread."""
        while (item := self.control_inbox.take()) is not None:
            match item:
                case ("message", parts, msg_id, _):
                    task = asyncio.get_running_loop().create_task(self.kernel.serve_control(parts, msg_id))
                    self._control_tasks.add(task)
                    task.add_done_callback(self._control_tasks.discard)
                case ("astray", parts, msg_id):
                    self._redirect(parts, msg_id)
                case ("seek", name):
                    self.link.sought(name, *known(self.kernel.shell, name))

    def _redirect(self, parts: Parts, msg_id: str) -> None:
        """Give a message to the shell that it is for."""
        subshell_id = self.kernel.find_subshell(parts)
        request = Request(parts, msg_id, subshell_id)
        if subshell_id is None:
            self._serve_from_elsewhere(request)
            return
        try:
            self.shell_channel_thread.get(subshell_id).serve_from_elsewhere(request)
        except UnknownSubshellError as error:
            self.kernel.refuse(parts, msg_id, error)

    def _serve_debugger(self, parts: Parts, msg_id: str) -> None:
        self._serve_from_elsewhere(Request(parts, msg_id, asked_by_debugger=True))

    def _serve_from_elsewhere(self, request: Request) -> None:
        """Have the main event loop begin with a request; may be called in any thread."""
        loop = self.io_loop.asyncio_loop
        loop.call_soon_threadsafe(self.kernel.serve, request, self._context)


def _callers(most: int) -> str:
    """Return the lines from which the caller's caller was called, as faulthandler writes them."""
    frame: FrameType | None = sys._getframe(2)
    lines = []
    while frame is not None and len(lines) < most:
        lines.append(
            f'  File "{frame.f_code.co_filename}", line {frame.f_lineno} in {frame.f_code.co_name}\n'
        )
        frame = frame.f_back
    return "".join(lines)
