"""Engines that die: in a cell, in MPI, of several causes, one or two at once, and while they start."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from notebook import ROOT, Notebook, lines, mpiexec_of

WORLD = """\
from mpi4py import MPI
import os, signal, numpy as np
comm = MPI.COMM_WORLD
rank, size = comm.rank, comm.size
"""


@pytest.fixture(scope="module", params=["mpich", "openmpi"])
def nb(request: pytest.FixtureRequest) -> Iterator[Notebook]:
    """A kernel with four engines on one MPI."""
    with Notebook(engines=4, arguments=["--mpiexec", str(mpiexec_of(request.param))]) as notebook:
        notebook.ok("%px pass", timeout=120)
        yield notebook


@pytest.fixture
def fresh(nb: Notebook) -> Iterator[Notebook]:
    """The same kernel with fresh engines, each with a variable to keep."""
    nb.ok(f"%%px\n{WORLD}kept = 'kept'\nown = comm.Dup()\nown.allreduce(1)", timeout=60)
    yield nb
    nb.ok("%engines restart", timeout=60)
    assert nb.ok("%px print('back')", timeout=60).stdout == lines("back")


def the_others_go_on(nb: Notebook, victim: int) -> None:
    """They keep their variables, whoever died, and refuse what needs all."""
    for survivor in {0, 1, 2, 3} - {victim}:
        assert nb.ok(f"%%px -t {survivor}\nprint(kept)").stdout == f"[stdout:{survivor}] kept\n"
        refused = nb.fails(f"%%px -t {survivor}\nown.Barrier()", timeout=60)
        assert "has died" in refused.error and "%engines restart" in refused.error, refused.error


WAITS = {
    "Barrier": "own.Barrier()",
    "allreduce": "own.allreduce(1)",
    "Allreduce": "own.Allreduce(np.ones(9), np.empty(9))",
    "recv": "own.recv(source={victim})",
    "sleep": "import time; time.sleep(600)",
}


@pytest.mark.parametrize("victim", [0, 3])
@pytest.mark.parametrize("wait", WAITS)
def test_the_others_get_out_of_what_they_wait_in(fresh: Notebook, wait: str, victim: int) -> None:
    code = f"%%px\nif rank == {victim}:\n    os.kill(os.getpid(), signal.SIGKILL)\n{WAITS[wait]}"
    cell = fresh.fails(code.format(victim=victim), timeout=30)
    error = cell.error
    assert f"engine {victim} on " in error and "SIGKILL) in line 1 of its cell" in error, error
    assert "%engines restart" in error
    the_others_go_on(fresh, victim)


WITHIN = {
    "a reduction": "own.Allreduce(np.ones(9), np.empty(9), MPI.Op.Create(deadly))",
    "a large send": "own.Send(np.ones(10**6), {victim}) if rank != {victim} else deadly(0, 0, 0)",
}


@pytest.mark.parametrize("victim", [0, 3])
@pytest.mark.parametrize("what", WITHIN)
def test_the_others_get_out_of_mpi_itself(fresh: Notebook, what: str, victim: int) -> None:
    """All have come to the call, so MPI has it, and one dies in it."""
    deadly = f"def deadly(a, b, c):\n    if rank == {victim}: os.kill(os.getpid(), signal.SIGKILL)"
    cell = fresh.fails(f"%%px\n{deadly}\n{WITHIN[what].format(victim=victim)}", timeout=30)
    assert f"engine {victim} on " in cell.error, cell.error
    the_others_go_on(fresh, victim)


DEATHS = {
    "os._exit(3)": "exited with code 3",
    "os.abort()": "SIGABRT",
    "import ctypes; ctypes.string_at(0)": "SIGSEGV",
    "import threading, time; threading.Thread(target=os._exit, args=(4,)).start(); time.sleep(600)": "code 4",
}


@pytest.mark.parametrize("how", DEATHS)
def test_a_death_names_its_cause_and_its_line(fresh: Notebook, how: str) -> None:
    cell = fresh.fails(f"%%px\nx = 1\nif rank == 2: {how}\nimport time; time.sleep(600)", timeout=30)
    assert "engine 2 on " in cell.error and "(pid " in cell.error and DEATHS[how] in cell.error, cell.error
    assert "in line 2 of its cell" in cell.error, cell.error


def test_two_at_once(fresh: Notebook) -> None:
    cell = fresh.fails("%%px\nif rank in (0, 3): os.kill(os.getpid(), 9)\nown.Barrier()", timeout=30)
    assert "engine 0 on " in cell.error and "engine 3 on " in cell.error, cell.error
    assert fresh.ok("%%px -t 1,2\nprint(kept)").stdout == lines("kept", [1, 2])


def test_the_end_of_a_thread_or_an_exit_is_no_death(fresh: Notebook) -> None:
    fresh.ok("%%px\nimport sys, threading\nt = threading.Thread(target=sys.exit); t.start(); t.join()")
    assert "SystemExit" in fresh.fails("%px import sys; sys.exit(3)").error
    assert fresh.ok("%px print(kept)").stdout == lines("kept")


def test_a_death_while_the_engines_start_is_named(tmp_path: Path) -> None:
    startup = tmp_path / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("if globals().get('mpi_rank') == 1:\n    import os; os._exit(9)\n")
    with Notebook(engines=3, environment={"IPYTHONDIR": str(tmp_path)}) as nb:
        cell = nb.fails("%px 1", timeout=60)
        assert "did not start" in cell.error and "exited with code 9" in cell.error, cell.error
        assert nb.ok("print('local')").stdout == "local\n"


def test_kills_in_a_row() -> None:
    """A short run of the bench that does it a thousand times."""
    bench = ROOT / "bench" / "kills.py"
    command = [sys.executable, str(bench), "--kills", "12", "--seed", "7"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "12 kills: nothing hung, 0 processes left" in ended.stdout
