"""Where a kernel runs: over ipc, beside another kernel, with a home that cannot be written to."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.manager import KernelManager

from notebook import KERNEL, Notebook


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


def test_a_home_that_cannot_be_written_to(read_only_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """History and settings find no place, and cells run."""
    for elsewhere in ("IPYTHONDIR", "MPLCONFIGDIR"):
        monkeypatch.delenv(elsewhere, raising=False)
    environment = {"HOME": str(read_only_home)}
    with Notebook(engines=1, environment=environment) as nb:
        assert nb.ok("6*7").results == ["42"]
        assert nb.ok("%px print('hi')", timeout=120).stdout == "[stdout:0] hi\n"
        assert nb.ok("'kept'; In[1]").results == ["'6*7'"]
