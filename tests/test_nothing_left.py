"""Whatever is killed: soon nothing of the kernel is left, and nothing of anybody else is touched."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from notebook import (
    Notebook,
    command,
    descendants,
    eventually,
    lines,
    mpiexec_of,
    parent,
    roles,
    wait_until_gone,
)

SHARED = Path("/dev/shm")


@dataclass
class Traces:
    """What a running kernel has in the system, by role."""

    kernel: int
    local: int
    launcher: int
    mpiexec: int
    ranks: list[int]
    supervisors: list[int]
    workers: list[int]
    processes: set[int]
    folders: set[Path] = field(default_factory=set)
    shared: set[Path] = field(default_factory=set)
    #: Where other processes find the kernel.
    door: set[Path] = field(default_factory=set)

    def left(self, timeout: float = 20) -> list[str]:
        """Return what is still there after so many seconds."""
        processes = wait_until_gone(self.processes, timeout)
        # The launcher, the last process, removes files before it ends; an heir may not.
        files = eventually(self._files, lambda files: not files)
        return [f"process {pid}" for pid in processes] + [str(file) for file in files]

    def _files(self) -> list[Path]:
        own = self.door if self.kernel in self.processes else ()
        return [file for file in [*self.folders, *self.shared, *own] if file.exists()]


def traces(nb: Notebook) -> Traces:
    """Look at what the kernel has started and made."""
    found, ours = descendants(nb.pid), roles(nb.pid)
    (launcher,) = ours["launcher"]
    mpiexec = next(pid for pid in found - set().union(*ours.values()) if parent(pid) == launcher)
    runtime = {Path(words[words.index("--config") + 1]).parent for words in map(command, ours["rank"])}
    maps = "".join(Path(f"/proc/{pid}/maps").read_text() for pid in ours["worker"])
    shared = {Path(file) for file in re.findall(r"/dev/shm/\S+(?= *$)", maps, re.MULTILINE)}
    entry = registry() / f"kernel-{nb.pid}.json"
    return Traces(
        nb.pid,
        *ours["local"],
        launcher,
        mpiexec,
        sorted(ours["rank"]),
        sorted(ours["supervisor"]),
        sorted(ours["worker"]),
        found | {nb.pid},
        runtime,
        shared,
        {entry, Path(json.loads(entry.read_text())["socket"]).parent},
    )


def registry() -> Path:
    """Return the folder in which kernels say where other processes find their engines."""
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", "/nowhere"))
    return runtime / "parallel-python" if runtime.is_dir() else Path.home() / ".parallel-python" / "run"


@pytest.fixture
def stranger() -> Iterator[list[Path]]:
    """Files of somebody else that look much like ours."""
    files = [SHARED / "vader_segment.somebody.0", SHARED / "mpich_shm_somebody"]
    for file in files:
        file.write_bytes(b"mine")
    yield files
    for file in files:
        file.unlink()


@pytest.fixture(params=["mpich", "openmpi"])
def nb(request: pytest.FixtureRequest) -> Iterator[Notebook]:
    """A kernel whose engines are up, on one MPI; it may be dead at the end."""
    with Notebook(engines=3, arguments=["--mpiexec", str(mpiexec_of(request.param))]) as notebook:
        notebook.ok("%%px\nfrom mpi4py import MPI\nMPI.COMM_WORLD.Barrier()", timeout=120)
        yield notebook


def busy(nb: Notebook) -> None:
    """Have the engines compute, wait and hold children."""
    nb.send("%px import subprocess; child = subprocess.Popen(['sleep', '600']); child.wait()")


@pytest.mark.parametrize("what", ["idle", "busy"])
def test_kernel_killed(nb: Notebook, what: str, stranger: list[Path]) -> None:
    if what == "busy":
        busy(nb)
    before = traces(nb)
    assert before.folders
    os.kill(before.kernel, signal.SIGKILL)
    assert not before.left()
    assert all(file.read_bytes() == b"mine" for file in stranger)


@pytest.mark.parametrize("role", ["launcher", "mpiexec"])
def test_the_engines_processes_killed_and_the_kernel_goes_on(
    nb: Notebook, role: str, stranger: list[Path]
) -> None:
    before = traces(nb)
    engines = before.processes - {before.kernel, before.local}
    os.kill(getattr(before, role), signal.SIGKILL)
    before.processes = engines
    assert not before.left()
    assert all(file.read_bytes() == b"mine" for file in stranger)
    cell = nb.fails("%px 1", timeout=30)
    assert "No engines" in cell.error or "mpiexec" in cell.error or "started the engines" in cell.error
    assert nb.ok("print('local')").stdout == "local\n"
    nb.ok("%engines start", timeout=60)
    assert nb.ok("%px print(1)", timeout=60).stdout == lines("1", range(3))


@pytest.mark.parametrize("role", ["ranks", "supervisors"])
def test_a_rank_or_its_supervisor_killed(nb: Notebook, role: str) -> None:
    before = traces(nb)
    os.kill(getattr(before, role)[1], signal.SIGKILL)
    # A short cell may be over before what hangs on the killed process has ended.
    until = time.monotonic() + 30
    while (cell := nb.run("%px 1", timeout=30)).status == "ok":
        assert time.monotonic() < until, "nobody noticed"
    assert "%engines" in cell.error, cell.error
    nb.ok("%engines restart", timeout=60)
    before.processes -= {before.kernel, before.local}
    assert not before.left()
    assert nb.ok("%px print(1)", timeout=60).stdout == lines("1", range(3))


def test_all_of_a_set_killed_at_once(nb: Notebook) -> None:
    before = traces(nb)
    for pid in [before.launcher, before.mpiexec, *before.ranks, *before.supervisors, *before.workers]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    before.processes -= {before.kernel, before.local}
    assert not before.left()
    assert nb.ok("print('local')").stdout == "local\n"


def test_a_proper_end_leaves_nothing(nb: Notebook) -> None:
    before = traces(nb)
    nb.manager.shutdown_kernel()
    assert not before.left()


def test_a_server_killed_takes_its_kernels_along() -> None:
    start = "from notebook import Notebook; nb = Notebook(engines=2).__enter__()"
    code = f"{start}; nb.ok('%px pass', 120); print(nb.pid); input()"
    with subprocess.Popen(
        [sys.executable, "-u", "-c", code],
        cwd=Path(__file__).parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        kernel = int(server.stdout.readline())
        processes = descendants(kernel) | {kernel}
        server.kill()
    assert not wait_until_gone(processes, 10), "a process outlived the server"


LOCK = """
import multiprocessing
spawn = multiprocessing.get_context("spawn")
lock, pool = spawn.Lock(), spawn.Pool(1)
print(pool.apply(abs, (-1,)), "/dev/shm/sem." + lock._semlock.name.strip("/"))
"""


@pytest.mark.parametrize("how", ["shutdown", "kill"])
def test_semaphores_of_multiprocessing(how: str) -> None:
    """Python's resource tracker, a process of its own, removes them: it is given the time to."""
    with Notebook(engines=1) as nb:
        shown = [nb.ok(LOCK).stdout, nb.ok(f"%%px\n{LOCK}", timeout=60).stdout.removeprefix("[stdout:0] ")]
        files = [Path(line.split()[1]) for line in shown]
        assert all(line.startswith("1 ") for line in shown) and all(file.exists() for file in files), shown
        found = traces(nb)
        found.shared |= set(files)
        if how == "kill":
            os.kill(found.kernel, signal.SIGKILL)
            assert not found.left()
    assert not found.left()
