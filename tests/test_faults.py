"""First faults: what a bad day looks like, and that the kernel gets through it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from notebook import Notebook, command, descendants, lines, roles, wait_until_gone

DEATHS = {
    "killed": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was killed by signal 9 (SIGKILL)"),
    "segfault": ("import ctypes; ctypes.string_at(0)", "was killed by signal 11 (SIGSEGV)"),
    "exit": ("import os; os._exit(3)", "exited with code 3"),
}


@pytest.mark.parametrize("rank", [0, 1, 3])
@pytest.mark.parametrize("how", DEATHS)
def test_a_dead_engine_ends_the_cell_and_is_named(how: str, rank: int) -> None:
    death, words = DEATHS[how]
    with Notebook(engines=4) as nb:
        nb.ok("%px pass", timeout=120)
        nb.ok("%px kept = 'kept'")
        others = [other for other in range(4) if other != rank]
        # The others wait for a message that never comes, as ranks of a real program would.
        code = f"""%%px
from mpi4py import MPI
if MPI.COMM_WORLD.rank == {rank}:
    {death}
import time
time.sleep(600)
"""
        cell = nb.fails(code, timeout=30)
        assert f"engine {rank} on " in cell.error and words in cell.error, cell.error
        assert "%engines restart" in cell.error
        assert cell.seconds < 10
        # The kernel lives, and so do the others.
        assert nb.ok("print('local')").stdout == "local\n"
        survivor = others[-1]
        assert nb.ok(f"%%px -t {survivor}\nprint(kept)").stdout == f"[stdout:{survivor}] kept\n"
        refused = nb.fails("%px print('all')")
        assert f"engine {rank} on " in refused.error and "keep their variables" in refused.error
        nb.ok("%engines restart", timeout=60)
        assert nb.ok("%px print('back')", timeout=60).stdout == lines("back")


def test_an_engine_killed_between_cells_is_named_by_the_next(nb: Notebook) -> None:
    victim = nb.engines()[2]["pid"]
    os.kill(victim, signal.SIGKILL)
    wait_until_gone({victim}, 5)
    cell = nb.fails("%px print('hi')", timeout=30)
    assert "engine 2 on " in cell.error and "SIGKILL" in cell.error
    nb.ok("%engines restart", timeout=60)
    assert nb.ok("%px print('back')", timeout=60).stdout == lines("back")


def test_nothing_outlives_a_killed_kernel() -> None:
    with Notebook(engines=4) as nb:
        nb.ok("%px pass", timeout=120)
        nb.send("%px import time; time.sleep(600)")
        processes = descendants(nb.pid) | {nb.pid}
        processes |= {engine_pid for pid in processes for engine_pid in descendants(pid)}
        assert len(processes) >= 16, "kernel, local, launcher, mpiexec; four ranks, supervisors, workers"
        folders = runtime_folders(roles(nb.pid)["rank"])
        assert len(folders) == 1
        os.kill(nb.pid, signal.SIGKILL)
        assert not wait_until_gone(processes, 20), "a process outlived the kernel"
        # The launcher, the last to go, removes the folder before it ends.
        assert not any(folder.exists() for folder in folders), "the runtime folder was left"


def test_the_kernel_ends_with_a_client_that_was_killed() -> None:
    start = "from notebook import Notebook; nb = Notebook(engines=2).__enter__()"
    client = f"{start}; nb.ok('%px pass', 120); print(nb.pid); input()"
    with subprocess.Popen(
        [sys.executable, "-u", "-c", client],
        cwd=Path(__file__).parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        kernel = int(process.stdout.readline())
        processes = descendants(kernel) | {kernel}
        process.kill()
    assert not wait_until_gone(processes, 10), "a process outlived the client"


def runtime_folders(ranks: set[int]) -> set[Path]:
    """Return the folders that a kernel's ranks were told of."""
    return {Path(words[words.index("--config") + 1]).parent for words in map(command, ranks)}


def test_without_mpi_local_cells_work_and_px_says_what_to_install(tmp_path: Path) -> None:
    with Notebook(arguments=["--mpiexec", str(tmp_path / "mpiexec")]) as nb:
        assert nb.ok("print('local')").stdout == "local\n"
        cell = nb.fails("%px 1")
        assert "cannot be started" in cell.error and "pip install mpich mpi4py" in cell.error


def test_an_mpiexec_that_fails_is_quoted(tmp_path: Path) -> None:
    broken = tmp_path / "mpiexec"
    broken.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && { echo HYDRA; exit 0; }\necho no slots left >&2\nexit 7\n'
    )
    broken.chmod(0o755)
    with Notebook(arguments=["--mpiexec", str(broken)]) as nb:
        cell = nb.fails("%px 1", timeout=30)
        assert "exited with code 7" in cell.error and "no slots left" in cell.error
        assert nb.ok("print('local')").stdout == "local\n"


def test_a_python_without_ipykernel_says_what_to_install(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    python = tmp_path / "bare" / "bin" / "python"
    with Notebook(arguments=["--python", str(python)]) as nb:
        cell = nb.fails("print('local')")
        assert "ipykernel" in cell.error and "pip install" in cell.error and str(python) in cell.error


def test_a_python_that_is_not_there_is_named(tmp_path: Path) -> None:
    with Notebook(arguments=["--python", str(tmp_path / "nopython")]) as nb:
        assert "nopython" in nb.fails("1").error
        assert "nopython" in nb.fails("%px 1").error


def test_the_local_process_dies_and_the_engines_keep_their_variables(nb: Notebook) -> None:
    nb.ok("%px kept = 'kept'")
    cell = nb.fails("import os; os._exit(3)")
    assert "exited with code 3" in cell.error
    assert nb.ok("print('new')").stdout == "new\n"
    assert nb.ok("%px print(kept)").stdout == lines("kept")
