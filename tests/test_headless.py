"""Engines that no notebook owns: started and stopped at a terminal, used by plain Python processes.

Numbers are rows of the reference.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from headless import BIN, LIBRARY, engines
from notebook import descendants, mpiexec_of, wait_until_gone

#: A plain Python: it loads the engine library as an extension module, and says what it found.
SCRIPT = """
import json, pickle, sys
from importlib.machinery import ExtensionFileLoader, ModuleSpec
library, socket = sys.argv[1:3]
loader = ExtensionFileLoader("_parallel_python", library)
module = loader.create_module(ModuleSpec("_parallel_python", loader, origin=library))
loader.exec_module(module)
core = module.ClientLink.connect(socket)
told = []
def wait(test):
    while not (found := [one for one in told if test(one)]):
        news = core.next([])
        if news is None:
            raise SystemExit("the link has ended")
        told.extend(news)
    return found
"""


def script(environment: dict[str, str], code: str) -> str:
    """Run code in a plain Python that is connected to the only set of engines there is."""
    [entry] = Path(environment["XDG_RUNTIME_DIR"]).glob("parallel-python/*.json")
    assert entry.stat().st_mode & 0o077 == 0, "only the owner may read it"
    socket = Path(json.loads(entry.read_text())["socket"])
    assert socket.parent.stat().st_mode & 0o077 == 0, "only the owner may connect"
    arguments = [sys.executable, "-c", SCRIPT + code, LIBRARY, socket]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_engines_without_a_notebook(environment: dict[str, str]) -> None:
    assert "2 engines of profile `mpi` are up" in engines(
        environment, "start", "-n", "2", "--profile", "mpi", "--daemonize"
    )
    try:
        assert "run already" in engines(environment, "start", "--profile", "mpi", code=1)
        assert engines(environment, "list").startswith("mpi  headless  2 engines  pid ")
        first = script(
            environment,
            "core.open()\n"
            "work = ('apply', pickle.dumps((pow, (2, 10), {})), [])\n"
            "core.submit([('one', 'pow', [0, 1], work)])\n"
            "wait(lambda one: one[:2] == ('over', 'one'))\n"
            "print(sorted((one[2], pickle.loads(one[3])) for one in told if one[0] == 'value'))\n"
            "work = ('execute', 'import time; time.sleep(1); print(5)', True)\n"
            "core.submit([('two', 'sleep', [1], work)])\n",
        )
        assert first == "[(0, 1024), (1, 1024)]\n"
        later = script(
            environment,
            "core.recall(1, ['one', 'two'])\n"
            "wait(lambda one: one[:2] == ('over', 'two'))\n"
            "print([one['name'] for one in json.loads(told[0][2])])\n"
            "print([pickle.loads(one[3]) for one in told if one[0] == 'value'])\n"
            "print([one[4] for one in told if one[0] == 'stream'])\n",
        )
        assert later == "['one', 'two']\n[1024, 1024]\n['5\\n']\n"
    finally:
        assert "have ended" in engines(environment, "stop", "--profile", "mpi")
    assert engines(environment, "list") == "no engines\n"
    assert "no engines of profile" in engines(environment, "stop", "--profile", "mpi", code=1)


def test_of_several_sets_of_one_name_one_starts(environment: dict[str, str]) -> None:
    """All look for it in the same moment, and find none."""
    command = [BIN / "parallel-python", "engines", "start", "-n", "1", "--daemonize"]
    starts = [subprocess.Popen(command, env=environment, stdout=-1, stderr=-1, text=True) for _ in range(4)]
    said = [start.communicate(timeout=120) for start in starts]
    try:
        assert sorted(start.returncode for start in starts) == [0, 1, 1, 1], said
        assert sum("run already" in error for _, error in said) == 3, said
        assert len(engines(environment, "list").splitlines()) == 1
    finally:
        engines(environment, "clean", "--force", "--all")


def test_whoever_reads_what_a_command_says_may_have_gone(environment: dict[str, str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command = [BIN / "parallel-python", "engines", "list"]
        done = subprocess.run(command, env=environment, stdout=writing, stderr=-1, text=True, timeout=60)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_set_that_was_killed_is_no_set(environment: dict[str, str]) -> None:
    said = engines(environment, "start", "-n", "1", "--daemonize")
    pid = pid_of(said)
    processes = descendants(pid) | {pid}
    os.kill(pid, signal.SIGKILL)
    assert not wait_until_gone(processes, 15), "processes are left"
    assert engines(environment, "list") == "no engines\n"


def pid_of(said: str) -> int:
    """Return the process that ``engines start`` named."""
    return int(said.rpartition("(pid ")[2].partition(")")[0])


def test_5_19_another_number_of_engines(environment: dict[str, str]) -> None:
    """What ``ipcluster engines -n 4`` was for: an MPI world is replaced, and clients keep their way to it."""
    assert "no engines of profile `mpi` run" in engines(environment, "restart", "--profile", "mpi", code=1)
    pid = pid_of(engines(environment, "start", "-n", "1", "--profile", "mpi", "--daemonize"))
    try:
        refused = engines(environment, "start", "-n", "2", "--profile", "mpi", code=1)
        assert "`parallel-python engines restart --profile mpi -n N`" in refused
        said = engines(environment, "restart", "-n", "2", "--profile", "mpi")
        assert said == f"2 engines of profile `mpi` are up (pid {pid})\n"
        [entry] = json.loads(engines(environment, "list", "--json"))
        assert (entry["pid"], entry["engines"]) == (pid, 2)
        assert json.loads(Path(entry["file"]).read_text())["engines"] == 2
        assert (
            script(environment, "core.open()\nprint(len(wait(lambda one: one[0] == 'engines')[-1][3]))\n")
            == "2\n"
        )
    finally:
        engines(environment, "stop", "--profile", "mpi")


@pytest.mark.parametrize("family", ["mpich", "openmpi"])
def test_5_19_what_a_crash_left_is_removed(environment: dict[str, str], family: str) -> None:
    assert engines(environment, "clean") == "nothing was left behind\n"
    mpiexec = ["--mpiexec", str(mpiexec_of(family))]
    pid = pid_of(engines(environment, "start", "-n", "2", "--daemonize", *mpiexec))
    assert "run and stay; `--force`" in engines(environment, "clean")
    [notes] = Path(environment["XDG_RUNTIME_DIR"]).glob("parallel-python-*/leftovers")
    named = [notes.parent, *(note.readlink() for note in notes.iterdir())]
    assert any(path.is_relative_to("/dev/shm") for path in named)
    processes = descendants(pid) | {pid}
    # Nobody is to remove anything: not even a moment is left between their deaths.
    for signum in (signal.SIGSTOP, signal.SIGKILL):
        for process in processes:
            os.kill(process, signum)
    assert not wait_until_gone(processes, 15), "processes are left"
    assert f"removed {notes.parent}\n" in engines(environment, "clean")
    assert not any(path.exists() for path in named)
    assert engines(environment, "clean") == "nothing was left behind\n"


def test_5_19_force_ends_what_runs(environment: dict[str, str]) -> None:
    for profile in ("default", "other"):
        engines(environment, "start", "-n", "1", "--profile", profile, "--daemonize")
    assert "profile `default` have ended" in engines(environment, "clean", "--force")
    assert engines(environment, "list").startswith("other ")
    assert "profile `other` have ended" in engines(environment, "clean", "--force", "--all")
    assert engines(environment, "list") == "no engines\n"


def test_advice_is_for_a_terminal(environment: dict[str, str]) -> None:
    said = engines(environment, "start", "--daemonize", "--mpiexec", "/nowhere/mpiexec", code=1)
    assert "then `parallel-python engines start`" in said and "%engines" not in said
    assert said.count("parallel-python: ") == 1
