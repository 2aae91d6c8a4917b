"""The kernelspec installs with Jupyter's own command and finds everything from its own folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

from notebook import ROOT

SOURCE = ROOT / "kernelspec"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's home in which `jupyter kernelspec install kernelspec/ --user` was run."""
    home = tmp_path_factory.mktemp("home")
    data = home / "jupyter"
    command = [sys.executable, "-m", "jupyter", "kernelspec", "install", "kernelspec/", "--user"]
    environment = os.environ | {"HOME": str(home), "JUPYTER_DATA_DIR": str(data)}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=60)
    return data / "kernels" / "kernelspec"


def test_spec_says_what_frontends_need() -> None:
    spec = json.loads((SOURCE / "kernel.json").read_text())
    assert spec["display_name"] == "Parallel Python (Rust)"
    assert spec["language"] == "python"
    assert spec["interrupt_mode"] == "message"
    assert spec["metadata"]["debugger"] is True
    assert spec["kernel_protocol_version"] == "5.5"


def test_installed_spec_is_whole_and_needs_nothing_of_the_checkout(installed: Path) -> None:
    files = {path.name for path in (installed / "bin").iterdir()}
    assert {"parallel-python", "parallel-python-engine", "libparallel_python_engine.so"} <= files
    assert any(name.startswith("libparallel_python_mpi_") for name in files)
    assert not [path for path in installed.rglob("*") if path.is_symlink()]
    for size in (32, 64):
        png = (installed / f"logo-{size}x{size}.png").read_bytes()
        assert png.startswith(b"\x89PNG")
        # Width and height, in the header chunk that every PNG starts with.
        assert int.from_bytes(png[16:20]) == int.from_bytes(png[20:24]) == size
    assert (installed / "logo-svg.svg").exists()


def test_jupyter_finds_the_installed_spec(installed: Path) -> None:
    specs = KernelSpecManager(kernel_dirs=[str(installed.parent)]).find_kernel_specs()
    assert specs["kernelspec"] == str(installed)


def test_command_runs_with_a_bare_path_from_any_folder(installed: Path, tmp_path: Path) -> None:
    """The command line that Jupyter makes of the spec reaches the kernel's executable."""
    manager = KernelManager(kernel_name="kernelspec", connection_file=str(tmp_path / "kernel.json"))
    manager.kernel_spec_manager = KernelSpecManager(kernel_dirs=[str(installed.parent)])
    command = manager.format_kernel_cmd(["--help"])
    assert command[0] == sys.executable
    ran = subprocess.run(
        command, cwd=tmp_path, env={"PATH": "/nonexistent"}, capture_output=True, text=True, timeout=30
    )
    assert ran.returncode == 0, ran.stderr
    assert "--connection-file" in ran.stdout


def test_start_tells_the_kernel_its_python_and_passes_options_on(tmp_path: Path) -> None:
    """`start.py` becomes the executable beside it; a script in its place shows what it was given."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "start.py").write_bytes((SOURCE / "start.py").read_bytes())
    kernel = tmp_path / "bin" / "parallel-python"
    kernel.write_text('#!/bin/sh\nprintf "%s\\n" "$$" "$@"\n')
    kernel.chmod(0o755)
    command = [sys.executable, "-IS", str(tmp_path / "start.py"), "-f", "file", "-n", "4"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        output, _ = process.communicate(timeout=30)
    pid, *arguments = output.splitlines()
    assert int(pid) == process.pid, "Jupyter watches this pid: it has to become the kernel's"
    assert arguments[:3] == ["kernel", "--default-python", sys.executable]
    assert arguments[-4:] == ["-f", "file", "-n", "4"]
    # Of a Python that is linked to its shared library it says which one, and the kernel need not ask.
    if known := arguments[3:-4]:
        option, library = known
        assert option == "--default-libpython"
        assert Path(library).is_file() and Path(library).name.startswith("libpython3.")


def test_start_without_a_build_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "start.py").write_bytes((SOURCE / "start.py").read_bytes())
    ran = subprocess.run(
        [sys.executable, "-IS", str(tmp_path / "start.py")], capture_output=True, text=True, timeout=30
    )
    assert ran.returncode == 1
    assert "No such file" in ran.stderr
    assert "`make`" in ran.stderr
