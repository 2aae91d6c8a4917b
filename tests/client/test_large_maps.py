"""Maps of many tasks with large data, in plain Python processes with the usual limits."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Iterator

import pytest

from headless import engines, environment_with
from notebook import wait_until_gone

START = """
import functools, gc, json, os, resource
import numpy as np
import ipyparallel as ipp
rc = ipp.Client(profile='large')
lview = rc.load_balanced_view()
def files():
    found = set()
    for pid in [os.getpid(), *(engine.pid for engine in rc._conversation.engines.table.values())]:
        for name in os.listdir(f'/proc/{pid}/fd'):
            try:
                if 'memfd:parallel-python' in os.readlink(f'/proc/{pid}/fd/{name}'): found.add((pid, name))
            except OSError:
                pass
    return found
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Two engines of profile `large`."""
    environment = environment_with(tmp_path_factory.mktemp("large") / "run")
    engines(environment, "start", "-n", "2", "--profile", "large", "--daemonize")
    [entry] = json.loads(engines(environment, "list", "--json"))
    yield environment
    engines(environment, "stop", "--profile", "large")
    assert not wait_until_gone({entry["pid"]}, 20)


def script(environment: dict[str, str], code: str, files: tuple[int, int] = (1024, 524_288)) -> None:
    """Run a script that may have so many files open, at first and at most."""
    pytest.importorskip("numpy")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limits = (min(files[0], most), min(files[1], most))
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, {limits})" + START + code,
        ],
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0 and not done.stderr, done.stderr


def test_a_map_of_more_large_items_than_files_are_usual(environment: dict[str, str]) -> None:
    script(
        environment,
        """
ar = lview.map_async(lambda array: float(array[-1]), [np.full(40_000, n) for n in range(1500)])
assert ar.get() == list(range(1500))
""",
    )


def test_with_no_more_files_to_be_had_what_is_large_travels_in_messages(environment: dict[str, str]) -> None:
    script(
        environment,
        """
ar = lview.map_async(lambda array: float(array[-1]), [np.full(40_000, n) for n in range(600)])
assert open(os.devnull), 'some are left to others'
assert ar.get() == list(range(600))
kept = [lview.apply_async(len, np.zeros(40_000)) for n in range(200)]
assert [one.get() for one in kept] == [40_000] * 200
holding = [open(os.devnull) for _ in range(256 - 70)]
try:
    rc[0].apply_async(len, np.zeros(10_000_000))
except OSError as error:
    assert 'ulimit -n' in str(error), error
else:
    raise AssertionError('80 MB went into a message')
""",
        files=(256, 256),
    )


def test_a_map_is_sent_in_messages_of_moderate_size(environment: dict[str, str]) -> None:
    script(
        environment,
        """
# Each is too small to be shared; together they are more than one message may be.
item = b'x' * 60_000
assert sum(lview.map_sync(len, [item] * 10_000)) == 10_000 * 60_000
""",
    )


def test_what_could_not_be_submitted_leaves_nothing(environment: dict[str, str]) -> None:
    script(
        environment,
        """
view = rc[:]
def refuse(submissions, yields): raise ValueError('refused')
link = rc._conversation.link
class Refusing:
    submit = staticmethod(refuse)
    def __getattr__(self, name): return getattr(link, name)
rc._conversation.link = Refusing()
try:
    view.apply_async(len, np.zeros(100_000))
except ValueError:
    pass
else:
    raise AssertionError('it was not refused')
rc._conversation.link = link
assert rc.outstanding == set() and rc.history == [] == view.history and rc.metadata == {}
assert rc.wait(timeout=5) and view.wait(timeout=5) and not files()
assert view.apply_sync(int) == [0, 0]
""",
    )


def test_a_functions_data_is_shared_once(environment: dict[str, str]) -> None:
    script(
        environment,
        """
def total(table, n): return float(table[n]) + n
table = np.arange(1_000_000.0)
started = []
ar = lview.map_async(functools.partial(total, table), range(400))
def inode(pid, name):
    try:
        return os.stat(f'/proc/{pid}/fd/{name}').st_ino
    except OSError:
        return None
mine = {inode(*one) for one in files() if one[0] == os.getpid()} - {None}
assert len(mine) <= 1, 'one file for all tasks'
assert ar.get() == [2.0 * n for n in range(400)]
both = lview.map_sync(functools.partial(lambda table, array: float(table[3] + array[-1]), table),
                      [np.full(40_000, n) for n in range(50)])
assert both == [3.0 + n for n in range(50)]
# Engines hold nothing of it when the maps have ended.
del ar
gc.collect()
def held():
    import gc
    gc.collect()
    return sum('memfd:parallel-python' in line for line in open('/proc/self/maps'))
while sum(rc[:].apply_sync(held)) or files():
    rc.queue_status()

""",
    )


def test_what_was_let_go_of_is_an_error_and_no_value(environment: dict[str, str]) -> None:
    script(
        environment,
        """
for make in (lambda: lview.apply(np.zeros, 1_000_000), lambda: lview.map(np.zeros, [1_000_000] * 4)):
    ar = make()
    ar.get()
    ids = ar.msg_ids
    del ar
    gc.collect()
    try:
        print(rc.get_result(ids).get())
    except ipp.RemoteError as error:
        assert 'no longer there' in str(error), error
    else:
        raise AssertionError('a value that is not there')
""",
    )


def test_what_a_chunk_cannot_send_is_named(environment: dict[str, str]) -> None:
    script(
        environment,
        """
import threading
try:
    lview.map(len, [[1], [threading.Lock()]])
except Exception as error:
    assert 'argument 1' in str(error) and 'lock' in str(error), error
rc[:].push({'base': 10}, block=True)
assert lview.map_sync(lambda a, b: a + b, [1, 2], [ipp.Reference('base')] * 2) == [11, 12]
ones, base = [np.ones(100_000)] * 2, [ipp.Reference('base')] * 2
assert lview.map_sync(lambda a, b: a.sum() + b, ones, base) == [100_010] * 2
""",
    )


def test_a_core_with_hardly_any_files_left_reads_what_is_shared(environment: dict[str, str]) -> None:
    """Nothing is lost: results travel in messages, up to a size at which an error says what to do."""
    [entry] = json.loads(engines(environment, "list", "--json"))
    allowed = resource.prlimit(entry["pid"], resource.RLIMIT_NOFILE)
    resource.prlimit(entry["pid"], resource.RLIMIT_NOFILE, (200, allowed[1]))
    try:
        script(
            environment,
            """
kept = [lview.apply_async(np.full, 10_000, n) for n in range(400)]
assert [float(one.get().sum()) for one in kept] == [10_000.0 * n for n in range(400)]
assert [float(lview.apply_sync(lambda a: a.sum(), np.full(10_000, n))) for n in range(3)] == [0, 1e4, 2e4]
try:
    lview.apply_sync(np.zeros, 10_000_000)
except ipp.RemoteError as error:
    assert '80.0 MB' in str(error) and 'ulimit -n' in str(error), error
else:
    raise AssertionError('80 MB went into a message')
del kept
gc.collect()
""",
        )
    finally:
        resource.prlimit(entry["pid"], resource.RLIMIT_NOFILE, allowed)
    script(environment, "assert lview.apply_sync(np.zeros, 10_000_000).shape == (10_000_000,)")
