"""`parallel-python install`, `uninstall`, `doctor`: the real program, in prefixes and homes of their own."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

from notebook import ROOT, Notebook, wait_until_gone

PROGRAM = ROOT / "build" / "bin" / "parallel-python"


def run(*words: str | Path, program: Path = PROGRAM, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program with these words and variables."""
    command = [str(program), *map(str, words)]
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=120, check=False
    )


def ok(*words: str | Path, program: Path = PROGRAM, **environment: str) -> str:
    """Run the program; it must succeed."""
    ran = run(*words, program=program, **environment)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def files(folder: Path) -> set[str]:
    """Everything below a folder, links not followed."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def run_cell(kernels: Path, name: str, code: str) -> str:
    """Run a cell through an installed kernel as a frontend would and return its standard output."""
    manager = KernelManager(kernel_name=name)
    manager.kernel_spec_manager = KernelSpecManager(kernel_dirs=[str(kernels)])
    manager.start_kernel(env=os.environ | {"PARALLEL_PYTHON_ENGINES": "2"})
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        shown: list[str] = []
        reply = client.execute_interactive(
            code,
            timeout=120,
            output_hook=lambda m: m["content"].get("name") == "stdout" and shown.append(m["content"]["text"]),
        )
        assert reply["content"]["status"] == "ok", reply
        return "".join(shown)
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


def test_a_prefix_gets_programs_command_and_kernelspec(tmp_path: Path) -> None:
    prefix = tmp_path / "site"
    said = ok("install", "--prefix", prefix)
    spec = prefix / "share/jupyter/kernels/parallel-python"
    assert str(spec) in said and "JUPYTER_PATH" in said
    listed = subprocess.run(
        [sys.executable, "-m", "jupyter", "kernelspec", "list", "--json"],
        env=os.environ | {"JUPYTER_PATH": str(prefix / "share/jupyter")},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(listed.stdout)["kernelspecs"]["parallel-python"]["resource_dir"] == str(spec)
    assert run_cell(spec.parent, "parallel-python", "%px print('hi')") == "[stdout:0] hi\n[stdout:1] hi\n"
    # Everybody may use what an administrator with a strict umask installed, and nobody else may change it.
    for path in [prefix, *prefix.rglob("*")]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert path.is_symlink() or mode & 0o444 == 0o444, path
        assert path.is_symlink() or mode & 0o022 == 0, path


def test_an_installation_may_be_moved(tmp_path: Path) -> None:
    ok("install", "--prefix", tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    prefix = tmp_path / "there"
    assert "0.1.0" in ok("--version", program=prefix / "bin/parallel-python")
    assert run_cell(prefix / "share/jupyter/kernels", "parallel-python", "print(6 * 7)") == "42\n"
    ok("uninstall", "--prefix", prefix, program=prefix / "bin/parallel-python")
    assert not prefix.exists() or not files(prefix)


def test_uninstalling_leaves_what_was_there(tmp_path: Path) -> None:
    prefix = tmp_path / "site"
    kernels = prefix / "share/jupyter/kernels"
    (kernels / "other").mkdir(parents=True)
    (prefix / "bin").mkdir()
    (prefix / "bin" / "tool").write_text("")
    before = files(prefix)
    ok("install", "--prefix", prefix)
    ok("install", "--prefix", prefix, "--name", "eight", "-n", "8")
    ok("uninstall", "--prefix", prefix)
    assert (kernels / "eight" / "bin" / "parallel-python").exists(), "the other kernel still has its programs"
    (kernels / "eight" / "mine.txt").write_text("")
    assert "mine.txt" in ok("uninstall", "--prefix", prefix, "--name", "eight")
    assert files(prefix) == before | {"share/jupyter/kernels/eight", "share/jupyter/kernels/eight/mine.txt"}
    again = run("uninstall", "--prefix", prefix)
    assert again.returncode == 1 and "there is no kernel `parallel-python`" in again.stderr


def test_a_users_installation_follows_jupyters_folders(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": "", "JUPYTER_DATA_DIR": ""}
    ok("install", "--user", **home)
    assert (tmp_path / ".local/share/jupyter/kernels/parallel-python/kernel.json").is_file()
    assert "0.1.0" in ok("--version", program=tmp_path / ".local/bin/parallel-python")
    # No panel: no Python of this home would find its server's part.
    assert not list(tmp_path.rglob("labextensions")) and not list(tmp_path.rglob("*_server*.json"))
    ok("uninstall", "--user", **home)
    assert not files(tmp_path)
    elsewhere = home | {"JUPYTER_DATA_DIR": str(tmp_path / "data")}
    ok("install", "--user", **elsewhere)
    assert (tmp_path / "data/kernels/parallel-python/bin/parallel-python").is_file()


def test_options_reach_the_kernel(tmp_path: Path) -> None:
    options = ["--name", "mine", "--display-name", "Mine", "-n", "3", "--python", sys.executable]
    ok("install", "--prefix", tmp_path, *options, "--env", "A", "b c", "--env", "D", "")
    folder = tmp_path / "share/jupyter/kernels/mine"
    spec = json.loads((folder / "kernel.json").read_text())
    assert spec["argv"][0] == sys.executable and spec["argv"][-2:] == ["-n", "3"]
    assert spec["display_name"] == "Mine" and spec["env"] == {"A": "b c", "D": ""}
    code = "import os, sys; print(os.environ['A'], sys.executable)"
    assert run_cell(folder.parent, "mine", code) == f"b c {sys.executable}\n"
    for words, said in [
        (["--name", "a b"], "letters, digits"),
        (["--python", str(tmp_path / "none")], "cannot be started"),
        (["--user"], "cannot be used with"),
    ]:
        wrong = run("install", "--prefix", tmp_path, *words)
        assert wrong.returncode != 0 and said in wrong.stderr, wrong.stderr


def test_installing_again_disturbs_no_running_kernel(tmp_path: Path) -> None:
    """A build of its own folder, a link that moves: a kernel goes on with the files it was started from."""
    old = tmp_path / "old"
    shutil.copytree(PROGRAM.parent, old)
    # Another build: the digest of a file that nothing reads at run time.
    with (old / "libparallel_python_mpi_other.so").open("w") as file:
        file.write("of an earlier build")
    prefix = tmp_path / "site"
    ok("install", "--prefix", prefix, program=old / "parallel-python")
    kernels = prefix / "share/jupyter/kernels"
    manager = KernelManager(kernel_name="parallel-python")
    manager.kernel_spec_manager = KernelSpecManager(kernel_dirs=[str(kernels)])
    with Notebook.of(manager, engines=2) as nb:
        nb.ok("%px pass", timeout=120)
        before = os.readlink(f"/proc/{nb.pid}/exe")
        ok("install", "--prefix", prefix)
        assert (prefix / "lib/parallel-python/current").resolve() != Path(before).parent
        nb.ok("%engines restart", timeout=60)
        assert nb.ok("%px print('still')", timeout=60).stdout == "[stdout:0] still\n[stdout:1] still\n"
        assert os.readlink(f"/proc/{nb.pid}/exe") == before
    said = ok("install", "--prefix", prefix)
    assert "is there already" in said and not ok("install", "--prefix", prefix, "--quiet")


def test_an_interrupted_installation_can_be_completed_and_removed(tmp_path: Path) -> None:
    ok("install", "--prefix", tmp_path)
    kernel = tmp_path / "share/jupyter/kernels/parallel-python"
    (kernel / "kernel.json").unlink()
    next((tmp_path / "lib/parallel-python").glob("0*")).joinpath("parallel-python-engine").unlink()
    ok("install", "--prefix", tmp_path)
    assert run_cell(kernel.parent, "parallel-python", "print(1)") == "1\n"
    shutil.rmtree(kernel)
    ok("uninstall", "--prefix", tmp_path)
    assert not files(tmp_path)


def test_a_link_refers_to_the_programs_where_they_are(tmp_path: Path) -> None:
    site, mine = tmp_path / "site", tmp_path / "mine"
    ok("install", "--prefix", site)
    ok("install", "--prefix", mine, "--link", program=site / "bin/parallel-python")
    assert os.readlink(mine / "share/jupyter/kernels/parallel-python/bin") == str(
        site / "lib/parallel-python/current"
    )
    assert run_cell(mine / "share/jupyter/kernels", "parallel-python", "print(1)") == "1\n"
    ok("uninstall", "--prefix", mine, program=site / "bin/parallel-python")
    assert not mine.exists() or not files(mine)
    assert (site / "bin/parallel-python").exists()


def test_a_plain_python_of_the_prefix_imports_the_package(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    before = files(venv)
    said = ok("install", "--prefix", venv)
    assert "`import parallel_python` works in" in said
    code = (
        "import parallel_python, ipyparallel; print(parallel_python is ipyparallel, parallel_python.Client)"
    )
    plain = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    ran = subprocess.run(
        [venv / "bin/python3", "-c", code], env=plain, capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.stdout == "True <class 'parallel_python.client.client.Client'>\n", ran.stderr
    folder = ok("python-path", program=venv / "bin/parallel-python").strip()
    assert folder == str(venv / "lib/parallel-python/current/python")
    plain["PYTHONPATH"] = folder
    elsewhere = subprocess.run(
        [sys.executable, "-S", "-c", code], env=plain, capture_output=True, text=True, check=False, timeout=60
    )
    assert elsewhere.stdout.startswith("True"), elsewhere.stderr
    # What shows clusters in that environment's JupyterLab is there, and whole.
    panel = venv / "share/jupyter/labextensions/parallel-python"
    names = {path.name for path in (ROOT / "labextension").rglob("*") if path.is_file()}
    assert {path.name for path in panel.rglob("*") if path.is_file()} == names
    enabled = json.loads(
        (venv / "etc/jupyter/jupyter_server_config.d/parallel_python_server.json").read_text()
    )
    assert enabled == {"ServerApp": {"jpserver_extensions": {"parallel_python_server": True}}}
    # A file of an earlier build that this one has no more is taken away; what somebody else put there stays.
    record = venv / "lib/parallel-python/installed.json"
    told = json.loads(record.read_text())
    told["panel"].append("share/jupyter/labextensions/parallel-python/static/old.js")
    record.write_text(json.dumps(told))
    (panel / "static/old.js").write_text("")
    ok("install", "--prefix", venv)
    assert not (panel / "static/old.js").exists()
    ok("uninstall", "--prefix", venv)
    assert files(venv) == before
    assert run("python-path").returncode == 1, "what was not installed has no such folder"


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed who may not write there")
def test_a_place_that_cannot_be_written_to_says_what_to_do(tmp_path: Path) -> None:
    command = [str(PROGRAM), "install", "--prefix", "/usr/local/nobodys"]
    programs = tmp_path / "programs"
    shutil.copytree(PROGRAM.parent, programs)
    for folder in [tmp_path, *list(tmp_path.parents)[:2]]:
        folder.chmod(0o755)
    command[0] = str(programs / "parallel-python")
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, user=65534, env={})
    assert ran.returncode == 1
    assert "Permission denied" in ran.stderr and "--user" in ran.stderr and len(ran.stderr.splitlines()) == 1


def findings(ran: subprocess.CompletedProcess[str]) -> dict[str, dict[str, str]]:
    """What `doctor --json` found, by name."""
    return {found["what"]: found for found in json.loads(ran.stdout)["findings"]}


def test_the_doctor_finds_a_good_environment_good() -> None:
    ran = run("doctor", "--python", sys.executable)
    assert ran.returncode == 0, ran.stdout
    for words in ["one world of 2", "bound to the engines'", "Everything that notebooks need is there."]:
        assert words in ran.stdout, ran.stdout
    found = findings(run("doctor", "--json", "--python", sys.executable))
    assert found["Python"]["state"] == found["engines"]["state"] == found["mpi4py"]["state"] == "ok"
    assert {"MPI", "libpython", "kernelspec", "machine", "open files", "processes", "/dev/shm"} <= set(found)


def test_the_doctor_uses_the_environment_it_is_installed_in() -> None:
    command = Path(sys.prefix) / "bin" / "parallel-python"
    ran = run("doctor", "--json", program=command, PATH="/usr/bin:/bin")
    assert sys.prefix in findings(ran)["Python"]["text"]


def test_the_doctor_says_what_is_missing(tmp_path: Path) -> None:
    ran = run("doctor", "--json", "--python", sys.executable, "--mpiexec", str(tmp_path / "mpiexec"))
    found = findings(ran)
    assert ran.returncode == 1 and found["MPI"]["state"] == "wrong"
    assert "pip install" in found["MPI"]["advice"]
    assert "engines" not in found and found["ipykernel"]["state"] == "ok"

    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    bare = tmp_path / "bare" / "bin" / "python"
    ran = run("doctor", "--json", "--python", bare)
    found = findings(ran)
    assert ran.returncode == 1 and found["ipykernel"]["state"] == "wrong"
    assert f"{bare} -m pip install" in found["ipykernel"]["advice"]

    ran = run("doctor", "--python", tmp_path / "none")
    assert ran.returncode == 1 and "cannot be started" in ran.stdout and "One thing is wrong." in ran.stdout


def test_the_doctor_sees_worlds_of_one(tmp_path: Path) -> None:
    """An mpiexec that starts every rank for itself, as one of another MPI does."""
    split = tmp_path / "mpiexec"
    split.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && { echo \'HYDRA 4.2\'; exit 0; }\nshift 2\n"$@" &\n"$@" &\nwait\n'
    )
    split.chmod(0o755)
    environment = {"LD_LIBRARY_PATH": str(Path(sys.prefix) / "lib")}
    ran = run("doctor", "--json", "--python", sys.executable, "--mpiexec", str(split), **environment)
    found = findings(ran)
    assert ran.returncode == 1 and "worlds of 1 rank" in found["engines"]["text"], ran.stdout


def test_a_launcher_that_is_no_mpis_own_starts_those_of_the_mpi_that_is_there(tmp_path: Path) -> None:
    """As a batch system's does; here one that drops its own options and becomes the environment's mpiexec."""
    batch = tmp_path / "srun"
    mpiexec = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    version = '[ "$1" = --version ] && echo slurm 23.11 && exit'
    batch.write_text(f'#!/bin/sh\n{version}\nshift\nexec {mpiexec} "$@"\n')
    batch.chmod(0o755)
    ran = run("doctor", "--json", "--python", sys.executable, "--mpiexec", f"{batch} --mpi=pmix")
    assert "one world of 2" in findings(ran)["engines"]["text"], ran.stdout


def test_the_doctor_leaves_nothing_behind(tmp_path: Path) -> None:
    ran = run("doctor", "--python", sys.executable, TMPDIR=str(tmp_path), XDG_RUNTIME_DIR="")
    assert ran.returncode == 0, ran.stdout
    assert not wait_until_gone(processes_with(f"TMPDIR={tmp_path}"), 10)
    assert not list(tmp_path.glob("parallel-python-*"))


def processes_with(variable: str) -> set[int]:
    """The processes that were started with this variable."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and variable.encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.add(int(entry.name))
        except OSError:
            pass
    return found
