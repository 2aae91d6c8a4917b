"""A notebook without a browser: the real kernel, driven through jupyter_client as a frontend drives it.

Every cell's messages are held to the protocol: ``busy`` first, exactly one reply, ``idle`` last.
Waits end with a message or with a deadline, never by sleeping.
"""

from __future__ import annotations

import os
import queue
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from jupyter_client.manager import KernelManager

from said import OPENING, Said

ROOT = Path(__file__).resolve().parent.parent
KERNEL = "parallel-python"
ENGINES = "application/vnd.parallel-python.engines+json"
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Cell:
    """One cell as the notebook shows it: its iopub messages in order, and its reply."""

    code: str
    messages: list[dict[str, Any]] = field(default_factory=list)
    reply: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def of_type(self, *kinds: str) -> list[dict[str, Any]]:
        """Return the contents of messages of these types."""
        return [message["content"] for message in self.messages if message["msg_type"] in kinds]

    def text(self, name: str) -> Said:
        """Return what one stream said."""
        text = "".join(part["text"] for part in self.of_type("stream") if part["name"] == name)
        busy, idle = (self.messages[end]["header"]["date"] for end in (0, -1))
        return Said(text, in_order=(idle - busy).total_seconds() < OPENING)

    @property
    def stdout(self) -> Said:
        return self.text("stdout")

    @property
    def stderr(self) -> Said:
        return self.text("stderr")

    @property
    def status(self) -> str:
        return self.reply["content"]["status"]

    @property
    def count(self) -> int:
        return self.reply["content"]["execution_count"]

    @property
    def error(self) -> str:
        """The error as a person reads it: name, value and traceback without colours."""
        shown = [
            "\n".join([f"{part['ename']}: {part['evalue']}", *part["traceback"]])
            for part in self.of_type("error")
        ]
        return ANSI.sub("", "\n".join(shown))

    @property
    def displays(self) -> list[dict[str, Any]]:
        """The mimebundles that were displayed, engines' results among them."""
        return [part["data"] for part in self.of_type("display_data", "execute_result")]

    @property
    def results(self) -> list[str]:
        """The plain text of displays and results, without colours."""
        return [ANSI.sub("", data["text/plain"]) for data in self.displays if "text/plain" in data]


def mpiexec_of(family: str) -> Path:
    """The mpiexec that `tools/build` built the plugin of this family (`mpich`, `openmpi`) with."""
    mpiexec = ROOT / "build" / "mpi" / family / "bin" / "mpiexec"
    if not mpiexec.exists():
        pytest.skip(f"this build has no {family} of its own")
    return mpiexec


class Notebook:
    """A running kernel and a client of it. Use as a context manager."""

    def __init__(
        self, engines: int = 4, arguments: Sequence[str] = (), environment: dict[str, str] | None = None
    ):
        self._set_up(KernelManager(kernel_name=KERNEL), engines, arguments, environment)

    @classmethod
    def of(cls, manager: KernelManager, engines: int = 4) -> Notebook:
        """Return a notebook on another kernel than the one that `make` installed."""
        notebook = cls.__new__(cls)
        notebook._set_up(manager, engines, (), None)
        return notebook

    def _set_up(
        self,
        manager: KernelManager,
        engines: int,
        arguments: Sequence[str],
        environment: dict[str, str] | None,
    ) -> None:
        self.manager = manager
        spec = manager.kernel_spec
        assert spec is not None, f"the kernel `{KERNEL}` is not installed: run `make`"
        spec.argv = [*spec.argv, "-n", str(engines), *arguments]
        self.environment = {**os.environ, **(environment or {})}
        # Where the kernel's own streams go, as `subprocess.Popen` takes them.
        self.streams: dict[str, Any] = {}

    def __enter__(self) -> Notebook:
        self.manager.start_kernel(env=self.environment, **self.streams)
        self.client = self.manager.client()
        self.client.start_channels()
        try:
            self.client.wait_for_ready(timeout=60)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=not self.manager.is_alive())

    @property
    def pid(self) -> int:
        """The kernel's process id."""
        return self.manager.provisioner.process.pid

    def send(self, code: str, **options: Any) -> str:
        """Ask for a cell and return the request's id."""
        return self.client.execute(code, **options)

    def collect(self, request: str, code: str = "", timeout: float = 60, watch: Watch | None = None) -> Cell:
        """Take in a request's messages until it is idle. ``watch`` is called with each of them."""
        cell, start = Cell(code), time.monotonic()
        while True:
            message = self.client.get_iopub_msg(timeout=self._left(start, timeout))
            if message["parent_header"].get("msg_id") != request:
                continue
            cell.messages.append(message)
            if watch:
                watch(message)
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
        cell.seconds = time.monotonic() - start
        while cell.reply.get("parent_header", {}).get("msg_id") != request:
            cell.reply = self.client.get_shell_msg(timeout=self._left(start, timeout))
        self._check_protocol(cell)
        return cell

    def run(self, code: str, timeout: float = 60, watch: Watch | None = None, **options: Any) -> Cell:
        """Run a cell to its end."""
        return self.collect(self.send(code, **options), code, timeout, watch)

    def ok(self, code: str, timeout: float = 60) -> Cell:
        """Run a cell that must succeed."""
        cell = self.run(code, timeout)
        assert cell.status == "ok", f"{code!r} failed:\n{cell.error}{cell.stderr}"
        return cell

    def fails(self, code: str, timeout: float = 60) -> Cell:
        """Run a cell that must end with an error."""
        cell = self.run(code, timeout)
        assert cell.status == "error", f"{code!r} did not fail: {cell.stdout}"
        assert cell.reply["content"]["ename"], "an error has a name"
        return cell

    def converse(self, code: str, *answers: str) -> tuple[Cell, list[tuple[str, bool]]]:
        """Run a cell and answer what it asks; return the cell and the questions: prompt, if secret."""
        request = self.send(code, allow_stdin=True)
        asked = []
        for answer in answers:
            message = self.client.get_stdin_msg(timeout=20)
            assert message["msg_type"] == "input_request"
            assert message["parent_header"]["msg_id"] == request
            asked.append((message["content"]["prompt"], message["content"]["password"]))
            self.client.input(answer)
        return self.collect(request, code), asked

    def interrupt_when(self, code: str, text: str, timeout: float = 60) -> Cell:
        """Run a cell and interrupt it once, when ``text`` has appeared on its standard output."""
        seen, interrupted = "", False

        def watch(message: dict[str, Any]) -> None:
            nonlocal seen, interrupted
            if message["msg_type"] == "stream" and not interrupted:
                seen += message["content"]["text"]
                if text in seen:
                    interrupted = True
                    self.manager.interrupt_kernel()

        return self.run(code, timeout, watch)

    def control(self, kind: str, content: dict[str, Any] | None = None, **header: Any) -> dict[str, Any]:
        """Send a request on the control channel and return its reply's content."""
        message = self.client.session.msg(kind, content or {})
        message["header"].update(header)
        self.client.control_channel.send(message)
        while True:
            reply = self.client.get_control_msg(timeout=20)
            if reply["parent_header"]["msg_id"] == message["header"]["msg_id"]:
                return reply["content"]

    def engines(self) -> list[dict[str, Any]]:
        """Return the table of ``%engines`` as data."""
        cell = self.ok("%engines")
        return next(data[ENGINES]["engines"] for data in cell.displays if ENGINES in data)

    @staticmethod
    def _left(start: float, timeout: float) -> float:
        left = start + timeout - time.monotonic()
        if left <= 0:
            raise queue.Empty(f"nothing came within {timeout} s")
        return left

    @staticmethod
    def _check_protocol(cell: Cell) -> None:
        states = [part["execution_state"] for part in cell.of_type("status")]
        assert states == ["busy", "idle"], f"busy once, idle once: {states}"
        kinds = [message["msg_type"] for message in cell.messages]
        assert kinds[0] == kinds[-1] == "status", f"busy first, idle last: {kinds}"


Watch = Callable[[dict[str, Any]], None]
Seen = TypeVar("Seen")


def eventually(
    look: Callable[[], Seen], accept: Callable[[Seen], object] = bool, timeout: float = 20
) -> Seen:
    """Look again and again until what is seen is accepted, for ``timeout`` seconds; return the last."""
    deadline = time.monotonic() + timeout
    while not accept(seen := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return seen


def lines(text: str, ranks: Sequence[int] = range(4), stream: str = "stdout") -> str:
    """Return the same line of several engines as the notebook shows it."""
    return "".join(f"[{stream}:{rank}] {text}\n" for rank in ranks)


def descendants(pid: int) -> set[int]:
    """Return the processes below one, at any depth."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        try:
            stat = (entry / "stat").read_text() if entry.name.isdigit() else ""
        except OSError:
            continue
        if stat:
            parent = int(stat.rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    found, frontier = set(), [pid]
    while frontier:
        below = children.get(frontier.pop(), [])
        found.update(below)
        frontier.extend(below)
    return found


#: What the engine's executable is started as, and what copies of the zygote are called.
ROLES = ("local", "launcher", "zygote", "rank", "supervisor", "worker")


def command(pid: int) -> list[str]:
    """Return the words a process was started with."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except OSError:
        return []


def roles(pid: int) -> dict[str, set[int]]:
    """Return the processes of ours below a kernel, by role."""
    found: dict[str, set[int]] = {role: set() for role in ROLES}
    for process in descendants(pid):
        words = command(process)
        if words and ("parallel-python-engine" in words[0] or "_parallel_python" in " ".join(words)):
            found[next(word for word in words if word in ROLES)].add(process)
    return found


def parent(pid: int) -> int:
    """Return a process's parent."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def wait_until_gone(pids: set[int], timeout: float) -> set[int]:
    """Wait until processes have ended; return those that have not within ``timeout`` seconds."""
    watched = {}
    for pid in pids:
        try:
            watched[pid] = os.pidfd_open(pid)
        except ProcessLookupError:
            pass
    deadline = time.monotonic() + timeout
    try:
        return {pid for pid, fd in watched.items() if not _ends(fd, deadline - time.monotonic())}
    finally:
        for fd in watched.values():
            os.close(fd)


def _ends(pidfd: int, timeout: float) -> bool:
    import select

    readable, _, _ = select.select([pidfd], [], [], max(0.0, timeout))
    return bool(readable)
