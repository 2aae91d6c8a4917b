"""Engines are copies of one Python that has loaded what they need, or load it where a copy would not do."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from notebook import Notebook, eventually, lines, mpiexec_of, parent, roles

#: What copies of one process could have in common and must not.
OWN = """
import os, random, tempfile, uuid
print(os.getpid(), random.random(), next(tempfile._get_candidate_names()), uuid.uuid4(), os.getpgid(0))
"""


@pytest.mark.parametrize("family", ["mpich", "openmpi"])
def test_engines_are_copies_with_a_life_of_their_own(family: str) -> None:
    with Notebook(engines=4, arguments=["--mpiexec", str(mpiexec_of(family))]) as nb:
        said = nb.ok(f"%%px\n{OWN}", timeout=120).stdout
        columns = list(zip(*(line.split()[1:] for line in said.splitlines()), strict=True))
        assert [len(set(column)) for column in columns] == [4] * 5, said
        found = roles(nb.pid)
        assert {parent(worker) for worker in found["worker"]} == found["supervisor"]
        assert {int(pid) for pid in columns[0]} == found["worker"]
        assert eventually(lambda: not roles(nb.pid)["zygote"], timeout=10), "nobody needs it any more"
        # A new set has a zygote of its own.
        nb.ok("%engines restart -n 2", timeout=60)
        assert nb.ok("%px print(1)", timeout=60).stdout == lines("1", range(2))
        assert len(roles(nb.pid)["supervisor"]) == 2


def wrapped(folder: Path, before: str) -> Path:
    """Return an mpiexec that does something before it starts ranks."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    found = shutil.which(os.environ.get("PARALLEL_PYTHON_MPIEXEC", "mpiexec"), path=path)
    assert found is not None
    mpiexec = Path(found).resolve()
    # The libraries are looked for beside the program.
    (folder / "lib").symlink_to(mpiexec.parent.parent / "lib")
    wrapper = folder / "bin" / "mpiexec"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\n[ "$1" = --version ] || {before}\nexec {mpiexec} "$@"\n')
    wrapper.chmod(0o755)
    return wrapper


@pytest.mark.parametrize(
    ("before", "seen"),
    [
        ("ulimit -S -n 500", "resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 500"),
        ("umask 027", "os.umask(0o27) == 0o27"),
        ("export COLOUR=blue", "os.environ['COLOUR'] == 'blue'"),
        ("cd /", "os.getcwd() == '/'"),
    ],
)
def test_ranks_that_are_not_where_the_zygote_is_load_python(tmp_path: Path, before: str, seen: str) -> None:
    with Notebook(engines=2, arguments=["--mpiexec", str(wrapped(tmp_path, before))]) as nb:
        nb.ok("%px import os, resource", timeout=120)
        assert alone(nb)
        assert nb.ok(f"%px print({seen})").stdout == lines("True", range(2))


def test_the_zygote_can_be_switched_off() -> None:
    with Notebook(engines=2, environment={"PARALLEL_PYTHON_ZYGOTE": "off"}) as nb:
        assert nb.ok("%px print(1)", timeout=120).stdout == lines("1", range(2))
        assert alone(nb)
    with Notebook(engines=2, environment={"PARALLEL_PYTHON_ZYGOTE": "maybe"}) as nb:
        assert "PARALLEL_PYTHON_ZYGOTE is `maybe`: it is `on` or `off`" in nb.fails("%px 1").error


@pytest.mark.parametrize(
    "trouble",
    [
        "os._exit(3)",
        "sys.modules['IPython'] = None",
        "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()",
    ],
)
def test_a_zygote_that_cannot_be_copied_is_done_without(tmp_path: Path, trouble: str) -> None:
    code = f"import os, sys, threading, time\nif 'zygote' in sys.orig_argv: {trouble}\n"
    (tmp_path / "sitecustomize.py").write_text(code)
    with Notebook(engines=2, environment={"PYTHONPATH": str(tmp_path)}) as nb:
        assert nb.ok("%px print(1)", timeout=120).stdout == lines("1", range(2))
        assert alone(nb)


def alone(nb: Notebook) -> bool:
    """Tell whether every rank is the supervisor of a worker that has loaded Python itself."""
    found = roles(nb.pid)
    return not found["supervisor"] and {parent(worker) for worker in found["worker"]} == found["rank"]
