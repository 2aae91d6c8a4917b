"""The client in a plain Python process, on engines that no notebook owns and on a notebook's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headless import BIN, engines, environment_with, terminal
from notebook import Notebook, descendants, wait_until_gone

#: A process that maps the memory of a result only when it is told to.
LATE = """
import sys, ipyparallel as ipp
from parallel_python import bulk
rc = ipp.Client(profile='mpi')
receive = bulk.receive
def late(blobs):
    print('connected', flush=True)
    sys.stdin.readline()
    bulk.receive = receive
    return receive(blobs)
bulk.receive = late
print([float(one[0]) for one in rc.get_result(sys.argv[1:]).get()], flush=True)
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which only what these tests start is found."""
    return environment_with(tmp_path_factory.mktemp("plain") / "run")


@pytest.fixture(scope="module")
def headless(environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """Two engines of profile `mpi`."""
    engines(environment, "start", "-n", "2", "--profile", "mpi", "--daemonize")
    yield environment
    engines(environment, "stop", "--profile", "mpi")


def script(environment: dict[str, str], code: str, timeout: float = 120) -> str:
    """Run a script in a plain Python, as a user does; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_script_has_the_whole_client(headless: dict[str, str]) -> None:
    said = script(
        headless,
        """
import ipyparallel as ipp
import parallel_python, sys
assert ipp is parallel_python
rc = ipp.Client(profile='mpi')
assert rc.ids == [0, 1] and rc.profile == 'mpi'
dview = rc[:]
dview.block = True
dview['a'] = 5
assert dview.apply(lambda x: a * x, 3) == [15, 15]
def square(x): return x ** 2
assert rc.load_balanced_view().map_sync(square, range(20)) == [x ** 2 for x in range(20)]
import numpy
big = numpy.arange(1_000_000.0)
dview.scatter('part', big)
assert (dview.gather('part') == big).all()
dview.execute("print('hi')").display_outputs()
try:
    dview.apply(lambda: 1 / 0)
except ipp.CompositeError as error:
    assert len(error.elist) == 2
class Money:
    def __init__(self, sum): self.sum = sum
assert all(type(one) is Money and one.sum == 3 for one in dview.apply(lambda m: m, Money(3)))
with rc.executor() as executor:
    assert executor.submit(pow, 2, 5).result() == 32
assert rc.queue_status()['unassigned'] == 0
assert ipp.Client().ids == [0, 1]  # the only ones that there are
""",
    )
    assert said == "[stdout:0] hi\n[stdout:1] hi\n"


def test_who_leaves_fetches_the_results_later(headless: dict[str, str]) -> None:
    left = script(
        headless,
        "import ipyparallel as ipp, json, time\n"
        "rc = ipp.Client(profile='mpi')\n"
        "ar = rc[:].apply_async(lambda: (time.sleep(1), mpi_rank + 10)[1])\n"
        "ex = rc[1].execute(\"print('left behind')\", silent=False)\n"
        "print(json.dumps([ar.msg_ids, ex.msg_ids]))",
    )
    apply_ids, execute_ids = json.loads(left)
    script(
        headless,
        "import ipyparallel as ipp\n"
        "rc = ipp.Client(profile='mpi')\n"
        f"apply_ids, execute_ids = {apply_ids!r}, {execute_ids!r}\n"
        "assert set(apply_ids + execute_ids) <= set(rc.hub_history())\n"
        "ar = rc.get_result(apply_ids)\n"
        "assert type(ar) is ipp.AsyncHubResult and ar.get(30) == [10, 11], ar.get()\n"
        "ex = rc.get_result(execute_ids[0])\n"
        "ex.get(30)\n"
        "assert ex.stdout == 'left behind\\n'\n",
    )


def test_several_clients_at_once_share_what_is_on_the_engines(headless: dict[str, str]) -> None:
    code = """
import ipyparallel as ipp, sys
who = int(sys.argv[1])
rc = ipp.Client(profile='mpi')
view = rc[:]
view.push({f'mine{who}': who}, block=True)
for _ in range(50):
    assert view.apply_sync(lambda n: n * 2, who) == [who * 2] * 2
    assert view.pull(f'mine{who}', block=True) == [who] * 2
"""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(who)], env=headless, stderr=subprocess.PIPE, text=True
        )
        for who in range(3)
    ]
    for process in running:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said


def test_a_forked_process_connects_anew(headless: dict[str, str]) -> None:
    script(
        headless,
        """
import ipyparallel as ipp, os
rc = ipp.Client(profile='mpi')
assert rc[:].apply_sync(int) == [0, 0]
child = os.fork()
if not child:
    try:
        rc[:].apply_sync(int)
    except ipp.KernelError:
        pass
    else:
        os._exit(1)
    os._exit(0 if ipp.Client(profile='mpi')[:].apply_sync(int, 4) == [4, 4] else 2)
assert os.waitpid(child, 0)[1] == 0
assert rc[:].apply_sync(int) == [0, 0]
""",
    )


def test_engines_that_are_not_there(headless: dict[str, str]) -> None:
    script(
        headless,
        """
import ipyparallel as ipp
try:
    ipp.Client(profile='other')
except OSError as error:
    assert "no engines of profile 'other'" in str(error) and "'mpi'" in str(error), error
    assert 'parallel-python engines start -n 4 --profile other' in str(error)
else:
    raise SystemExit('connected to what?')
try:
    ipp.Client(profile='mpi', cluster_id='x')
except OSError as error:
    assert 'mpi:x' in str(error)
else:
    raise SystemExit('connected to what?')
""",
    )


def test_5_16_to_18_starting_listing_and_stopping(headless: dict[str, str]) -> None:
    [told] = json.loads(engines(headless, "list", "--json"))
    assert (told["profile"], told["kind"], told["engines"]) == ("mpi", "headless", 2)
    assert engines(headless, "list").startswith("mpi  headless  2 engines")
    refused = {("start", "mpi"): "run already", ("stop", "x"): "no engines of profile `x`"}
    for (action, profile), said in refused.items():
        command = [BIN / "parallel-python", "engines", action, "--profile", profile]
        done = subprocess.run(command, env=headless, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and said in done.stderr


def test_2_24_results_that_are_shared_and_not_large_are_kept(headless: dict[str, str]) -> None:
    """They can be had again by their ids, also when everybody has let go of them, and by another process."""
    pytest.importorskip("numpy")
    ids = script(
        headless,
        """
import ipyparallel as ipp, numpy
rc = ipp.Client(profile='mpi')
result = rc[:].apply_async(numpy.full, 20_000, 7.0)
ids = result.msg_ids
assert [float(one.sum()) for one in result.get()] == [140_000.0] * 2
del result
assert [float(one.sum()) for one in rc.get_result(ids).get()] == [140_000.0] * 2
print(ids)
""",
    )
    script(
        headless,
        f"""
import ipyparallel as ipp
rc = ipp.Client(profile='mpi')
assert [float(one.sum()) for one in rc.get_result({ids.strip()}).get()] == [140_000.0] * 2
""",
    )


def test_2_24_large_results_by_their_ids(headless: dict[str, str]) -> None:
    """What nobody has taken is there for whoever asks; what was let go of is an error."""
    pytest.importorskip("numpy")
    ids = script(
        headless,
        """
import ipyparallel as ipp, numpy
rc = ipp.Client(profile='mpi')
ids = rc[:].apply_async(numpy.full, 1_000_000, 7.0).msg_ids
assert rc.wait()
import gc; gc.collect()
print(ids)
""",
    )
    taken = f"""
import ipyparallel as ipp
rc = ipp.Client(profile='mpi')
ids = {ids.strip()}
result = rc.get_result(ids)
assert [float(one.sum()) for one in result.get()] == [7e6, 7e6]
"""
    script(headless, taken)
    script(
        headless,
        taken
        + """
del result
try:
    rc.get_result(ids).get()
except ipp.RemoteError as error:
    assert 'no longer there (it is large, and was let go of' in str(error), error
else:
    raise AssertionError('it was let go of')
""",
    )


def test_2_24_a_late_reader_gets_its_result(headless: dict[str, str]) -> None:
    """One client has let go of a value, and its memory, before another has opened it."""
    pytest.importorskip("numpy")
    script(
        headless,
        f"""
import ipyparallel as ipp, numpy, os, signal, subprocess, sys
rc = ipp.Client(profile='mpi')
result = rc[:].apply_async(numpy.full, 1_000_000, 1.0)
result.wait()
late = subprocess.Popen([sys.executable, '-c', {LATE!r}, *result.msg_ids], stdin=-1, stdout=-1, text=True)
assert late.stdout.readline() == 'connected\\n'
result.get()
del result
rc[:].apply_sync(numpy.full, 1_000_000, 666.0)
print('go', file=late.stdin, flush=True)
assert late.stdout.readline() == '[1.0, 1.0]\\n'
assert late.wait(60) == 0
""",
    )


def test_2_01_who_learns_of_a_stop_finds_no_engines(environment: dict[str, str]) -> None:
    engines(environment, "start", "-n", "2", "--profile", "stopped", "--daemonize")
    try:
        script(
            environment,
            """
import ipyparallel as ipp, threading, time
rc, other = ipp.Client(profile='stopped'), ipp.Client(profile='stopped')
for _ in range(3):
    held = rc[:].apply_async(time.sleep, 60)
    threading.Thread(target=lambda: other.shutdown(block=True)).start()
    try:
        held.get(30)
    except ipp.RemoteError:
        assert rc.ids == [], rc.ids
    else:
        raise AssertionError('the engines were stopped')
    rc = ipp.Client(profile='stopped')
    rc.wait_for_engines(2, timeout=60)
""",
        )
    finally:
        engines(environment, "stop", "--profile", "stopped")


def test_stopped_and_started_again(environment: dict[str, str]) -> None:
    script(
        environment,
        f"""
import ipyparallel as ipp, subprocess, time
def terminal(*words):
    subprocess.run([{str(BIN / "parallel-python")!r}, 'engines', *words], check=True, capture_output=True)
terminal('start', '-n', '1', '--profile', 'again', '--daemonize')
rc = ipp.Client(profile='again')
ar = rc[0].apply_async(time.sleep, 60)
terminal('stop', '--profile', 'again')
try:
    ar.get(30)
except ipp.RemoteError as error:
    assert error.ename == 'EngineError', error
while not rc._conversation.ended:
    time.sleep(0.01)
try:
    rc[0].apply_sync(int)
except ipp.EngineError as error:
    assert 'connection to the engines has ended' in str(error) and "start 'again' again" in str(error)
else:
    raise AssertionError('nobody was there to do it')
terminal('start', '-n', '2', '--profile', 'again', '--daemonize')
try:
    assert ipp.Client(profile='again')[:].apply_sync(int) == [0, 0]
finally:
    terminal('stop', '--profile', 'again')
""",
    )


def test_5_05_a_cluster_of_a_script_ends_with_it(environment: dict[str, str]) -> None:
    said = script(
        environment,
        """
import asyncio, ipyparallel as ipp
with ipp.Cluster(n=2, engines='mpi') as rc:
    assert rc.ids == [0, 1] and rc[:].apply_sync(lambda: mpi_size) == [2, 2]
    name = rc.cluster.cluster_id
    assert ipp.Client(profile='default', cluster_id=name).ids == [0, 1]
    assert ipp.ClusterManager().load_clusters()[f'default:{name}'].connect_client_sync().ids == [0, 1]
    load = lambda **only: list(ipp.ClusterManager().load_clusters(**only))
    assert load(profile='default') == [f'default:{name}'] and load(profile='nobodys') == []
    assert f'default:{name}' in load(profiles=['other', 'default'])
async def main():
    async with ipp.Cluster(n=1) as rc:
        assert await rc[:].apply_async(int, 3) == [3]
asyncio.run(main())
try:
    ipp.Cluster.from_file(profile='default', cluster_id=name)
except FileNotFoundError:
    pass
else:
    raise SystemExit('it is still there')
cluster = ipp.Cluster(n=1, profile='left')
cluster.start_and_connect_sync()
print('engines', cluster.engine_set.n)
# It is not stopped: it ends with this process.
""",
    )
    assert said.endswith("engines 1\n")
    listed = engines(environment, "list")
    assert "left" not in listed or wait_for_end(environment, "left")


def wait_for_end(environment: dict[str, str], profile: str) -> bool:
    """Wait until the process of a set that is about to end has ended."""
    for path in Path(environment["XDG_RUNTIME_DIR"]).glob("parallel-python/*.json"):
        try:
            told = json.loads(path.read_text())
        except FileNotFoundError:
            continue  # It has ended meanwhile.
        if told["profile"].startswith(profile):
            assert not wait_until_gone({told["pid"]}, 15)
    return True


def test_5_11_a_cluster_that_stays(environment: dict[str, str]) -> None:
    script(
        environment,
        "import ipyparallel as ipp\n"
        "ipp.Cluster(n=1, profile='stays', cluster_id='', shutdown_atexit=False).start_cluster_sync()",
    )
    script(
        environment,
        "import ipyparallel as ipp\n"
        "cluster = ipp.Cluster.from_file(profile='stays')\n"
        "rc = cluster.connect_client_sync()\n"
        "assert rc.ids == [0] and cluster.engine_set.n == 1\n"
        "cluster.stop_cluster_sync()",
    )
    assert "stays" not in engines(environment, "list")


def test_5_06_a_script_stops_its_engines_and_starts_others(environment: dict[str, str]) -> None:
    script(
        environment,
        """
import ipyparallel as ipp, threading
cluster = ipp.Cluster(n=2, profile='again-and-again')
cluster.start_cluster_sync()
assert cluster.engine_set.n == 2 and cluster.engine_set.running  # nobody is connected
rc = cluster.connect_client_sync()
stopped, told = threading.Event(), []
cluster.engine_set.on_stop(lambda why: (told.append(why['exit_code']), stopped.set()))
first = cluster.engine_set
cluster.stop_engines_sync()
assert stopped.wait(30) and told == [0] and rc.ids == []
cluster.start_engines_sync(n=3)
rc.wait_for_engines(3, timeout=60)
assert rc[:].apply_sync(lambda: mpi_rank) == [0, 1, 2] and cluster.engine_set.n == 3
lost = rc[:].apply_async(__import__('time').sleep, 600)
ipp.Cluster.from_dict(cluster.to_dict()).signal_engines_sync('SIGKILL')
try:
    lost.get(60)
except ipp.CompositeError:
    pass
cluster.stop_cluster_sync()
assert first.get_output() == ''
""",
    )
    assert "again-and-again" not in engines(environment, "list")


def test_5_05_scripts_that_start_clusters_at_the_same_time(environment: dict[str, str]) -> None:
    code = "import ipyparallel as ipp\nwith ipp.Cluster(n=1) as rc: print(rc[0].apply_sync(int))"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(6)
    ]  # fmt: skip
    for process in running:
        told, said = process.communicate(timeout=120)
        assert process.returncode == 0 and "0\n" in told, said


def test_a_script_uses_a_notebooks_engines(environment: dict[str, str]) -> None:
    with Notebook(engines=2, environment={"XDG_RUNTIME_DIR": environment["XDG_RUNTIME_DIR"]}) as nb:
        nb.ok("%px x = 'of the notebook'", timeout=120)
        [profile] = [
            line.split()[0] for line in engines(environment, "list").splitlines() if "kernel" in line
        ]
        said = script(
            environment,
            "import ipyparallel as ipp\n"
            f"rc = ipp.Client(profile={profile!r})\n"
            "print(rc[:].pull('x', block=True))\n"
            "rc[:].push({'y': 'of the script'}, block=True)\n",
        )
        assert said == "['of the notebook', 'of the notebook']\n"
        assert nb.ok("%px print(y)").stdout.count("of the script") == 2
        # It goes on as if nobody had been there.
        nb.ok("import ipyparallel as ipp; assert ipp.Client().ids == [0, 1]")
        processes = descendants(nb.pid) | {nb.pid}
    assert not wait_until_gone(processes, 15)


def test_a_notebook_may_use_engines_beside_its_own(headless: dict[str, str]) -> None:
    [file] = Path(headless["XDG_RUNTIME_DIR"]).glob("parallel-python/headless-*.json")
    environment = {"XDG_RUNTIME_DIR": str(file.parents[1])}
    with Notebook(engines=1, arguments=["--engines", "lazy"], environment=environment) as nb:
        nb.ok(
            "import ipyparallel as ipp\n"
            f"there, own = ipp.Client({str(file)!r}), ipp.Client(profile='mpi')\n"
            "assert there.ids == [0, 1] and own.ids == [0]\n"
            "there[:].push({'where': 'there'}, block=True); own[:].push({'where': 'own'}, block=True)\n"
            "assert there[:].pull('where', block=True) == ['there'] * 2 and own[0]['where'] == 'own'\n",
            timeout=120,
        )
        assert nb.ok("%px print(where)").stdout == "[stdout:0] own\n"


def test_an_installed_ipyparallel_goes_first(environment: dict[str, str], tmp_path: Path) -> None:
    """In the same environment: its folder comes before ours in ``sys.path``."""
    (tmp_path / "ipyparallel").mkdir()
    (tmp_path / "ipyparallel" / "__init__.py").write_text("theirs = True")
    there = {**environment, "PYTHONPATH": str(tmp_path)}
    assert (
        script(there, "import ipyparallel, parallel_python; print(hasattr(ipyparallel, 'theirs'))")
        == "True\n"
    )
    # It is asked for by putting our folder in front.
    ours = terminal(environment, "python-path").strip()
    asked = {**environment, "PYTHONPATH": f"{ours}{os.pathsep}{tmp_path}"}
    assert script(asked, "import ipyparallel; print(hasattr(ipyparallel, 'theirs'))") == "False\n"
    refused = {**environment, "PARALLEL_PYTHON_IPYPARALLEL": "installed"}
    done = subprocess.run(
        [sys.executable, "-c", "import ipyparallel"], env=refused, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1 and "no ipyparallel is installed" in done.stderr


def test_pytest_of_the_same_user(headless: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(
        "import ipyparallel as ipp, pytest\n"
        "@pytest.fixture(scope='session')\n"
        "def rc():\n"
        "    with ipp.Client(profile='mpi') as client:\n"
        "        yield client\n"
        "def here(x): return x + 1\n"
        "def test_map(rc):\n"
        "    with pytest.raises(ipp.CompositeError, match=r'test_theirs.*sys.path.*ipp.interactive'):\n"
        "        rc[:].map_sync(here, range(5))\n"
        "    assert rc[:].map_sync(ipp.interactive(here), range(5)) == [1, 2, 3, 4, 5]\n"
        f'    rc[:].execute("import sys; sys.path.append({str(tmp_path)!r})").get()\n'
        "    assert rc[:].map_sync(here, range(5)) == [1, 2, 3, 4, 5]\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        env=headless, cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
