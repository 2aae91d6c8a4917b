"""Engines start on machines that are not quite in order, or say in one sentence why they do not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from jupyter_client.manager import KernelManager

from notebook import KERNEL, Notebook, lines, mpiexec_of

WORLD = "%%px\nfrom mpi4py import MPI\nprint(MPI.COMM_WORLD.allreduce(1))"


def test_an_engine_that_does_not_come_is_named_with_its_log(tmp_path: Path) -> None:
    startup = tmp_path / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text(
        "if mpi_rank == 1:\n    import sys, time\n"
        "    print('reading the catalogue', file=sys.__stderr__, flush=True)\n    time.sleep(600)\n"
    )
    environment = {"IPYTHONDIR": str(tmp_path), "PARALLEL_PYTHON_LAUNCH_TIMEOUT": "4"}
    with Notebook(engines=3, environment=environment) as nb:
        cell = nb.fails("%px 1", timeout=60)
        assert "engine 1 did not answer within" in cell.error, cell.error
        assert "engine 1 wrote last:\nreading the catalogue" in cell.error, cell.error
        assert "Waiting for the engines to start: 2 of 3 are up." in cell.stderr, cell.stderr
        assert nb.ok("print('local')").stdout == "local\n"
        # The user mends the cause, and goes on.
        (startup / "00.py").unlink()
        nb.ok("%engines restart", timeout=60)
        assert nb.ok("%px print('up')", timeout=60).stdout == lines("up", range(3))


def test_a_launch_timeout_that_is_none_is_refused() -> None:
    with Notebook(engines=2, environment={"PARALLEL_PYTHON_LAUNCH_TIMEOUT": "soon"}) as nb:
        cell = nb.fails("%px 1", timeout=60)
        assert "PARALLEL_PYTHON_LAUNCH_TIMEOUT is `soon`: it is a number of seconds" in cell.error, cell.error


def test_a_folder_for_temporary_files_whose_path_is_too_long_for_sockets(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30) / "still longer"
    folder.mkdir(parents=True)
    with Notebook(engines=2, environment={"TMPDIR": str(folder), "XDG_RUNTIME_DIR": str(folder)}) as nb:
        assert nb.ok(WORLD, timeout=120).stdout == lines("2", range(2))


def on_another_machine(change: str, family: str) -> Notebook:
    """Return a notebook whose kernel runs after `change`, in namespaces of its own."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("a machine like this can only be made by root, with unshare")
    enter = ["unshare", "--uts", "--mount", "sh", "-ec", f'{change}; exec "$@"', "sh"]
    if subprocess.run([*enter, "true"], capture_output=True, check=False).returncode:
        pytest.skip("namespaces cannot be made here")
    manager = KernelManager(kernel_name=KERNEL)
    spec = manager.kernel_spec
    assert spec is not None and spec.argv[0] == "python"
    # Jupyter fills in its own Python only where it stands first.
    spec.argv = [*enter, sys.executable, *spec.argv[1:], "--mpiexec", str(mpiexec_of(family))]
    return Notebook.of(manager, engines=2)


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
