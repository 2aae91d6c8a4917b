"""A kernel behind plain zeromq sockets, to time cells with nothing of a client in the figures.

One cell's time runs from its request leaving to both its reply and its ``idle`` being here: what a
notebook waits for. Meanwhile messages are only recognised; they are made before and read afterwards, because
this client shares the processors with what it times.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import zmq
from jupyter_client.manager import KernelManager
from jupyter_client.session import DELIM


class CellFailed(RuntimeError):
    """A cell of the bench ended with an error, so its time means nothing."""


class _Answers:
    """What has come of a request's reply and idle, told by frames that nobody has decoded."""

    def __init__(self, msg_id: str) -> None:
        self.msg_id = msg_id.encode()
        self.reply = b""
        self.idle = False

    @property
    def complete(self) -> bool:
        return bool(self.reply) and self.idle

    def add(self, frames: Sequence[bytes]) -> None:
        """Take a message: identities, delimiter, signature, header, parent, metadata, content."""
        start = frames.index(DELIM) + 2
        header, parent, _, content = frames[start : start + 4]
        if self.msg_id not in parent:
            return
        if b'"execute_reply"' in header:
            self.reply = content
        elif b'"status"' in header and b'"idle"' in content:
            self.idle = True


class TimedKernel:
    """A running kernel and a client of it; use it as a context manager.

    Parameters
    ----------
    name : str
        Name of the kernelspec.
    arguments : sequence of str
        More arguments for the kernel's command line.
    environment : mapping of str to str, optional
        Variables for the kernel, on top of ours.
    patience : float, seconds
        The longest that one cell may take.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        patience: float = 120,
    ) -> None:
        self.patience = patience
        self.manager = KernelManager(kernel_name=name)
        self.manager.start_kernel(extra_arguments=list(arguments), env=os.environ | (environment or {}))
        info = self.manager.get_connection_info()
        self.session = self.manager.session
        self.context = zmq.Context()
        self.shell = self._connect(zmq.DEALER, info, "shell_port")
        self.iopub = self._connect(zmq.SUB, info, "iopub_port")
        self.poller = zmq.Poller()
        self.poller.register(self.shell, zmq.POLLIN)
        self.poller.register(self.iopub, zmq.POLLIN)

    def _connect(self, kind: int, info: dict[str, Any], port: str) -> zmq.Socket[bytes]:
        socket = self.context.socket(kind)
        socket.linger = 0
        if kind == zmq.SUB:
            socket.subscribe(b"")
        socket.connect(f"{info['transport']}://{info['ip']}:{info[port]}")
        return socket

    def __enter__(self) -> Self:
        try:
            self._wait_until_up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the kernel and let go of its sockets."""
        self.manager.shutdown_kernel(now=False)
        self.context.destroy(linger=0)

    def _wait_until_up(self) -> None:
        """Ask until answers come on both channels: a subscription needs a moment to be known."""
        deadline = time.monotonic() + self.patience
        seen: set[str] = set()
        while seen != {"reply", "idle"}:
            if time.monotonic() > deadline:
                raise CellFailed(f"the kernel did not come up in {self.patience} s")
            request = self.session.send(self.shell, "kernel_info_request", {})
            seen = self._follow(request["header"]["msg_id"], until=time.monotonic() + 1)

    def cell(self, code: str) -> float:
        """Run a cell and return how long it took, in seconds."""
        request = self.session.msg("execute_request", self._content(code))
        frames = self.session.serialize(request)
        answers = _Answers(request["header"]["msg_id"])
        start = time.perf_counter()
        until = time.monotonic() + self.patience
        self.shell.send_multipart(frames)
        while not answers.complete:
            ready = self.poller.poll(max(0, until - time.monotonic()) * 1000)
            if not ready:
                raise CellFailed(f"`{code}` was not done in {self.patience} s")
            for socket, _ in ready:
                answers.add(socket.recv_multipart())
        seconds = time.perf_counter() - start
        reply = self.session.unpack(answers.reply)
        if reply["status"] != "ok":
            raise CellFailed(f"{reply['ename']}: {reply['evalue']}")
        return seconds

    def output(self, code: str) -> str:
        """Run a cell and return what it wrote to its standard output."""
        text: list[str] = []
        self._follow(self._ask(code), time.monotonic() + self.patience, text)
        return "".join(text)

    def interrupt(self, code: str, after: float = 1) -> tuple[float, bool]:
        """Run a cell, interrupt it, and return how long it took to end from then on, and whether it did."""
        request = self._ask(code)
        seen = self._follow(request, until=time.monotonic() + after)
        start = time.perf_counter()
        self.manager.interrupt_kernel()
        try:
            seen = self._follow(request, until=time.monotonic() + 20, seen=seen)
        except CellFailed:
            # The reply says KeyboardInterrupt; its idle follows.
            seen = self._follow(request, until=time.monotonic() + 20, seen={"reply"})
        return time.perf_counter() - start, seen == {"reply", "idle"}

    def _ask(self, code: str) -> str:
        """Send a cell and return the request's id."""
        return self.session.send(self.shell, "execute_request", self._content(code))["header"]["msg_id"]

    @staticmethod
    def _content(code: str) -> dict[str, object]:
        return {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        }

    def _follow(
        self, msg_id: str, until: float, text: list[str] | None = None, seen: set[str] | None = None
    ) -> set[str]:
        """Read messages until a request has its reply and its idle, or the time has come."""
        seen = set(seen or ())
        while seen != {"reply", "idle"}:
            left = until - time.monotonic()
            ready = dict(self.poller.poll(max(0, left) * 1000))
            if not ready:
                break
            for socket in ready:
                _, message = self.session.recv(socket, mode=zmq.NOBLOCK)
                if message is None or message["parent_header"].get("msg_id") != msg_id:
                    continue
                content = message["content"]
                if message["msg_type"].endswith("_reply"):
                    if content.get("status") == "error":
                        raise CellFailed(f"{content['ename']}: {content['evalue']}")
                    seen.add("reply")
                elif message["msg_type"] == "stream" and text is not None:
                    text.append(content["text"])
                elif message["msg_type"] == "status" and content["execution_state"] == "idle":
                    seen.add("idle")
        return seen

    def pss(self, pids: Sequence[int] | None = None) -> int:
        """Return the memory of these processes, or of the kernel and everything below it, in bytes.

        What several processes share is divided among them (``Pss`` in proc(5)).
        """
        if pids is None:
            kernel = psutil.Process(self.manager.provisioner.pid)
            pids = [kernel.pid, *(process.pid for process in kernel.children(recursive=True))]
        total = 0
        for pid in pids:
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            (line,) = (line for line in rollup.splitlines() if line.startswith("Pss:"))
            total += int(line.split()[1]) << 10
        return total

    def cpu_seconds(self) -> float:
        """Return the processor time used so far by the kernel and everything below it."""
        kernel = psutil.Process(self.manager.provisioner.pid)
        total = 0.0
        for process in [kernel, *kernel.children(recursive=True)]:
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system
        return total
