"""Memory files of large values: opened by who needs them, and closed again."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from notebook import Notebook, descendants


def open_files(pid: int) -> int:
    """Return how many descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_a_thousand_large_values_leave_no_descriptors(nb: Notebook) -> None:
    nb.ok(
        "import gc\nimport numpy as np\nimport ipyparallel as ipp\n"
        "view = ipp.Client()[:]\n"
        "def both(times):\n"
        "    for number in range(times):\n"
        "        view.push({'large': np.full(100_000, number)}, block=True)\n"
        "        assert [array[-1] for array in view.pull('large', block=True)] == [number] * 4\n"
        "    gc.collect()\n"
        "both(5)",
        timeout=120,
    )
    processes = {nb.pid, *descendants(nb.pid)}
    before = {pid: open_files(pid) for pid in processes}
    nb.ok("both(1000)", timeout=240)
    # What is closed is closed a moment later; a look at the queues comes after all that was asked before.
    nb.ok("_ = view.client.queue_status()")
    grown = {pid: open_files(pid) - before[pid] for pid in processes}
    # Python collects what refers to itself when it likes; what leaks would be a thousand.
    assert max(grown.values()) < 100, grown


def test_what_a_push_replaces_is_gone_before_the_next_call(nb: Notebook) -> None:
    nb.ok("import ipyparallel as ipp\nview = ipp.Client()[:]")
    nb.ok("%%px\ngone = []\nclass Old:\n    def __del__(self): gone.append('old')\nvalue = Old()")
    assert nb.ok("view.push({'value': 1}, block=True); print(view.pull('gone', block=True))").stdout == (
        f"{[['old']] * 4}\n"
    )


def test_more_values_are_held_than_files_are_usually_allowed() -> None:
    usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, most), most))
    try:
        notebook = Notebook(engines=2)
        notebook.__enter__()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (usual, most))
    try:
        cell = notebook.ok(
            "import numpy as np\nimport ipyparallel as ipp\nrc = ipp.Client()\n"
            "balanced = rc.load_balanced_view()\n"
            "sent = [balanced.apply_async(lambda array: array + 1, np.full(40_000, n)) for n in range(600)]\n"
            "print([int(one.get()[-1]) for one in sent] == list(range(1, 601)))",
            timeout=120,
        )
    finally:
        notebook.__exit__()
    assert cell.stdout == "True\n"


MEMORY_FILE = "/memfd:parallel-python (deleted)"


def memory_files(pid: int) -> set[str]:
    """Return the numbers of the memory files of large data that a process holds open or has mapped."""
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if str(descriptor.readlink()) == MEMORY_FILE:
                found.add(str(descriptor.stat().st_ino))
        except OSError:
            continue  # It was closed meanwhile.
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return found | {line.split()[4] for line in lines if MEMORY_FILE in line}


def held(nb: Notebook) -> set[str]:
    """Return the memory files that any process of a kernel has."""
    return set().union(*map(memory_files, {nb.pid, *descendants(nb.pid)}))


def wait_until_held(nb: Notebook, count: int) -> set[str]:
    """Wait until there are so many memory files; engines close theirs a moment after they were told to."""
    deadline = time.monotonic() + 20
    while len(files := held(nb)) != count and time.monotonic() < deadline:
        # A look at the queues comes after all that was asked before.
        nb.ok("_ = view.client.queue_status()")
    return files


@pytest.fixture
def two() -> Iterator[Notebook]:
    """A kernel with two engines, of which nothing large is held."""
    with Notebook(engines=2) as notebook:
        notebook.ok(
            "import gc, os, signal\nimport numpy as np\nimport ipyparallel as ipp\nview = ipp.Client()[:]",
            timeout=120,
        )
        assert not held(notebook)
        yield notebook


def test_memory_goes_with_the_last_view_and_the_last_result(two: Notebook) -> None:
    two.ok("view.push({'large': np.zeros(1_000_000)}, block=True)")
    assert len(wait_until_held(two, 1)) == 1, "one file, whatever the number of engines"
    two.ok("view.execute('view = large[5:7]; del large', block=True)")
    assert len(wait_until_held(two, 1)) == 1, "a view holds it"
    two.ok("result = view.apply_async(lambda: __import__('numpy').ones(1_000_000))\nvalues = result.get()")
    assert len(wait_until_held(two, 3)) == 3, "a value of each engine"
    two.ok("view.execute('del view', block=True)\nkept = values[1][3:]\ndel result, values\ngc.collect()")
    assert len(wait_until_held(two, 1)) == 1, "a view of a value holds it"
    two.ok("del kept\ngc.collect()")
    assert not wait_until_held(two, 0), "the last one has gone"


def test_the_death_of_an_engine_frees_its_share(two: Notebook) -> None:
    two.ok(
        "view.push({'both': np.zeros(1_000_000)}, block=True)\n"
        "view.client[1].push({'one': np.zeros(1_000_000)}, block=True)\n"
        "result = view.client[1].apply_async(lambda: __import__('numpy').ones(1_000_000))\n"
        "result.wait()"
    )
    assert len(wait_until_held(two, 3)) == 3
    two.ok(
        "os.kill(view.client[1].apply_sync(os.getpid), signal.SIGKILL)\nwhile len(view.client.ids) > 1: pass"
    )
    assert len(wait_until_held(two, 2)) == 2, "what both had, and the value, which outlives its engine"
    assert two.ok("print(float(result.get().sum()))").stdout == "1000000.0\n"


def test_more_than_may_be_had_is_an_error_with_sizes(two: Notebook) -> None:
    two.ok("import resource\nlimits = resource.getrlimit(resource.RLIMIT_FSIZE)")
    cell = two.fails(
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000_000, limits[1]))\n"
        "try:\n"
        "    view.push({'large': np.zeros(5_000_000)}, block=True)\n"
        "finally:\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, limits)"
    )
    assert "there is no memory for 40 MB that are to be shared with engines" in cell.error
    assert not wait_until_held(two, 0), "nothing is left of what was begun"
    assert two.ok("print(view.apply_sync(len, np.zeros(5_000_000)))").stdout == "[5000000, 5000000]\n"
