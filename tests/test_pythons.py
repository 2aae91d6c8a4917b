"""Whatever Python and MPI there are: processes are the Python that was chosen, and all share one libmpi.

`make matrix` runs this once for every combination the machine has, by the variables that users have for it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from notebook import ROOT, Notebook, lines, mpiexec_of, roles

PYTHON = os.environ.get("PARALLEL_PYTHON") or sys.executable

FACTS = """
import json, sys
names = "executable", "prefix", "base_prefix", "version"
print(json.dumps({name: getattr(sys, name) for name in names}))
"""

POOL = """
import multiprocessing, sys
for method in ("fork", "spawn", "forkserver"):
    with multiprocessing.get_context(method).Pool(2) as pool:
        child = pool.apply(eval, ("__import__('sys').executable",))
        print(method, pool.map(abs, [-1, -2]), child == sys.executable)
"""

POOLS = [f"{method} [1, 2] True" for method in ("fork", "spawn", "forkserver")]

WORLD = """
import re
from mpi4py import MPI
world = MPI.COMM_WORLD
libraries = set(re.findall(r"/\\S*/libmpi(?:ch)?\\.so\\S*", open("/proc/self/maps").read()))
print(world.size, world.allreduce(world.rank), len(libraries), MPI.Get_library_version().split()[0])
"""


@pytest.fixture(scope="module")
def two() -> Iterator[Notebook]:
    """Two engines; a test of many combinations is to be quick."""
    with Notebook(engines=2) as notebook:
        notebook.ok("%px pass", timeout=120)
        yield notebook


def facts() -> dict[str, str]:
    """What the Python says of itself without us."""
    return json.loads(subprocess.check_output([PYTHON, "-c", FACTS], text=True, timeout=60))


def test_every_process_is_the_python_that_was_chosen(two: Notebook) -> None:
    wanted = facts()
    assert json.loads(two.ok(FACTS).stdout) == wanted
    for engine in range(2):
        shown = two.ok(f"%%px -t {engine}\n{FACTS}").stdout
        assert json.loads(shown.removeprefix(f"[stdout:{engine}] ")) == wanted
    assert {engine["executable"] for engine in two.engines()} == {wanted["executable"]}


def test_the_door_is_the_one_that_was_asked_for(two: Notebook) -> None:
    doors = {engine["door"] for engine in two.engines()}
    assert len(doors) == 1
    if os.environ.get("PARALLEL_PYTHON_DOOR") == "extension":
        assert doors == {"extension"}


def test_engines_are_copies_of_one_python(two: Notebook) -> None:
    """Where Python or MPI keeps them from that, every engine takes longer to start and more memory."""
    assert len(roles(two.pid)["supervisor"]) == 2


def test_pip_is_that_pythons(two: Notebook) -> None:
    prefix = facts()["prefix"]
    assert prefix in two.ok("%pip --version").stdout
    assert prefix in two.ok("%%px -t 1\n%pip --version", timeout=120).stdout


def test_pools_of_processes(two: Notebook) -> None:
    assert two.ok(POOL, timeout=120).stdout.splitlines() == POOLS
    shown = two.ok(f"%%px -t 0\n{POOL}", timeout=120).stdout
    assert [line for line in shown.replace("[stdout:0] ", "").splitlines() if line] == POOLS


def test_children_find_the_same_packages(two: Notebook) -> None:
    code = """
import subprocess, sys, numpy
ask = "import numpy; print(numpy.__file__)"
print(subprocess.check_output([sys.executable, "-c", ask], text=True).strip() == numpy.__file__)
"""
    assert two.ok(code, timeout=60).stdout == "True\n"
    # It takes long enough for output to be shown as it comes.
    shown = two.ok(f"%%px\n{code}", timeout=60).stdout
    assert sorted(shown.splitlines()) == lines("True", range(2)).splitlines()


def test_mpi4py_and_the_engines_share_one_library(two: Notebook) -> None:
    shown = sorted(two.ok(f"%%px\n{WORLD}", timeout=60).stdout.splitlines())
    assert [line.split(" ", 1)[1].rsplit(" ", 1)[0] for line in shown] == ["2 1 1", "2 1 1"], shown


@pytest.mark.parametrize(("family", "name"), [("openmpi", "Open"), ("mpich", "MPICH")])
def test_mpi4py_binds_to_the_engines_mpi_whatever_the_environment_holds(family: str, name: str) -> None:
    """One of the two is not the MPI whose wheel lies in the environment, where mpi4py would look first."""
    with Notebook(engines=2, arguments=["--mpiexec", str(mpiexec_of(family))]) as nb:
        shown = nb.ok(f"%%px\n{WORLD}", timeout=120).stdout
        assert sorted(shown.splitlines()) == [f"[stdout:{rank}] 2 1 1 {name}" for rank in range(2)]


def test_an_mpiexec_of_another_mpi_is_one_sentence(tmp_path: Path) -> None:
    """It calls itself one MPI and starts the ranks of another: each is a world of its own."""
    pretender = tmp_path / "mpiexec"
    other = mpiexec_of("mpich")
    pretender.write_text(
        "#!/bin/sh\n[ \"$1\" = --version ] && { echo 'mpiexec (Open MPI) 5.0'; exit; }\n"
        f'n=$2; shift 5; exec {other} -n "$n" "$@"\n'
    )
    pretender.chmod(0o755)
    environment = {"LD_LIBRARY_PATH": str(ROOT / "build" / "mpi" / "openmpi" / "lib")}
    with Notebook(engines=2, arguments=["--mpiexec", str(pretender)], environment=environment) as nb:
        cell = nb.fails("%px 1", timeout=120)
        sentence = cell.reply["content"]["evalue"]
        assert "worlds of 1 rank in place of one of 2" in sentence and "--mpiexec" in sentence, sentence
        assert len(sentence.splitlines()) == 1
        assert nb.ok("print('local')").stdout == "local\n"
