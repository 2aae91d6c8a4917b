"""Where a kernel runs: over ipc, beside another kernel, with a home that cannot be written to."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.manager import KernelManager

from notebook import KERNEL, Notebook, mpiexec_of


def test_ipc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A socket's path may have 107 bytes.
    monkeypatch.chdir(tmp_path)
    manager = KernelManager(kernel_name=KERNEL, transport="ipc", ip="k")
    with Notebook.of(manager, engines=1) as nb:
        assert nb.ok("print(6 * 7)").stdout == "42\n"


def test_two_kernels_side_by_side() -> None:
    with Notebook(engines=1) as one, Notebook(engines=1) as two:
        one.ok("x = 'one'")
        two.ok("x = 'two'")
        one.ok("%px y = 'one'", timeout=120)
        two.ok("%px y = 'two'", timeout=120)
        assert (one.ok("x").results, two.ok("x").results) == (["'one'"], ["'two'"])
        assert (one.ok("%px print(y)").stdout, two.ok("%px print(y)").stdout) == (
            "[stdout:0] one\n",
            "[stdout:0] two\n",
        )


@pytest.fixture
def read_only_home(tmp_path: Path) -> Iterator[Path]:
    """A home without write permission; for root, who may write anyway, a file system mounted read-only."""
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    if not os.access(home, os.W_OK):
        yield home
        return
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(home)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("root, and mounting is not allowed")
    yield home
    subprocess.run(["umount", "--lazy", str(home)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize("family", ["mpich", "openmpi"])
def test_without_shared_memory(family: str) -> None:
    """Open MPI does without; MPICH does not, which is one sentence."""
    mpiexec = mpiexec_of(family)
    if subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("namespaces are not allowed")
    manager = KernelManager(kernel_name=KERNEL)
    hide = 'mount -t tmpfs -o ro none /dev/shm && exec "$@"'
    spec = manager.kernel_spec
    spec.argv = ["unshare", "-m", "sh", "-c", hide, "sh", *spec.argv]
    # Jupyter puts its own Python where the command begins with `python`.
    spec.argv = [sys.executable if word == "python" else word for word in spec.argv]
    spec.argv += ["--mpiexec", str(mpiexec)]
    with Notebook.of(manager, engines=2) as nb:
        cell = nb.run("%px print('hi')", timeout=120)
        if family == "openmpi":
            assert cell.stdout == "[stdout:0] hi\n[stdout:1] hi\n", cell.error
        else:
            sentence = cell.reply["content"]["evalue"]
            assert "/dev/shm" in sentence and "Open MPI" in sentence and len(sentence.splitlines()) == 1
        assert nb.ok("6 * 7").results == ["42"]


def test_a_home_that_cannot_be_written_to(read_only_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """History and settings find no place, and cells run."""
    for elsewhere in ("IPYTHONDIR", "MPLCONFIGDIR"):
        monkeypatch.delenv(elsewhere, raising=False)
    environment = {"HOME": str(read_only_home)}
    with Notebook(engines=1, environment=environment) as nb:
        assert nb.ok("6*7").results == ["42"]
        assert nb.ok("%px print('hi')", timeout=120).stdout == "[stdout:0] hi\n"
        assert nb.ok("'kept'; In[1]").results == ["'6*7'"]
