"""Large data between ranks that do not share memory: over MPI, in pieces. Here all are told so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from notebook import Notebook

#: What an array of more than 2 GiB takes: the client's, its file, rank 1's file, the value's two files.
NEEDED = 14e9
SETUP = "import os\nimport numpy as np\nimport ipyparallel as ipp\nrc = ipp.Client()\nview = rc[:]\n"
#: The file in memory in which an array on an engine lies.
INODE = """%%px
def inode(array):
    place = array.__array_interface__["data"][0]
    for line in open("/proc/self/maps"):
        begin, end = (int(word, 16) for word in line.split()[0].split("-"))
        if begin <= place < end:
            return line.split()[4]
"""


def over_mpi(engines: int) -> Notebook:
    """Return a kernel whose ranks do not share memory."""
    return Notebook(engines=engines, environment={"PARALLEL_PYTHON_BULK": "mpi"})


@pytest.fixture(scope="module")
def apart() -> Iterator[Notebook]:
    """A kernel with three such engines."""
    with over_mpi(3) as notebook:
        notebook.ok(SETUP, timeout=120)
        notebook.ok(INODE, timeout=120)
        yield notebook


def test_arrays_go_out_and_come_back(apart: Notebook) -> None:
    cell = apart.ok(
        "large = np.arange(3_000_001)\n"
        "view.push({'large': large, 'other': [large[5:500_000], 'small']}, block=True)\n"
        "view.execute('large += mpi_rank; at = inode(large)', block=True)\n"
        "print(len(set(view['at'])) == 3, [int(one[-1]) for one in view['large']])\n"
        "print([bool((one == large + rank).all()) for rank, one in enumerate(view['large'])])\n"
        "print([int(one[0].sum()) == int(large[5:500_000].sum()) for one in view['other']])\n"
        "view.scatter('part', large, block=True)\n"
        "print(bool((view.gather('part', block=True) == large).all()))\n",
        timeout=120,
    )
    assert cell.stdout == "True [3000000, 3000001, 3000002]\n[True, True, True]\n[True, True, True]\nTrue\n"


def test_small_tasks_keep_their_place_behind_large_ones(apart: Notebook) -> None:
    cell = apart.ok(
        "results = []\n"
        "for number in range(20):\n"
        "    results.append(view.push({'x': np.full(400_000, number)}))\n"
        "    results.append(view.apply_async(lambda: int(__import__('__main__').x[-1])))\n"
        "print([one.get() for one in results[1::2]] == [[number] * 3 for number in range(20)])",
        timeout=120,
    )
    assert cell.stdout == "True\n"


def test_a_rank_without_memory_says_so_with_sizes(apart: Notebook) -> None:
    apart.ok(
        "%%px -t 2\n"
        "import resource\n"
        "before = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000_000, before[1]))"
    )
    try:
        cell = apart.fails("view.push({'large': np.ones(5_000_000)}, block=True)")
        assert "there is no memory for data beyond the first 9 MB of it" in cell.error
        cell = apart.fails("rc[2].apply_sync(lambda: __import__('numpy').ones(5_000_000))")
        assert "there is no memory for 40 MB that are to be shared with engines" in cell.error
    finally:
        apart.ok("%%px -t 2\nresource.setrlimit(resource.RLIMIT_FSIZE, before)")
    assert apart.ok("print(rc[2].apply_sync(len, np.ones(5_000_000)))").stdout == "5000000\n"


def test_a_value_that_cannot_be_had_is_an_error(apart: Notebook) -> None:
    apart.ok(
        "%%px -t 0\n"
        "import resource\n"
        "before = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000_000, before[1]))"
    )
    try:
        for view in ("rc[2]", "rc.load_balanced_view([2])"):
            cell = apart.fails(f"{view}.apply_sync(lambda: __import__('numpy').ones(5_000_000))")
            assert "EngineError: there is no memory for data beyond the first 9 MB of it" in cell.error
    finally:
        apart.ok("%%px -t 0\nresource.setrlimit(resource.RLIMIT_FSIZE, before)")


def test_a_rank_that_dies_meanwhile_ends_the_transfer(apart: Notebook) -> None:
    cell = apart.ok(
        "victim = rc[1].apply_sync(os.getpid)\n"
        "sent = [view.push({'large': np.ones(4_000_000)}) for _ in range(4)]\n"
        "os.kill(victim, 9)\n"
        "print(rc[2].apply_sync(lambda array: float(array.sum()), np.ones(4_000_000)))\n"
        "print([[part.error is None for part in one._parts] for one in sent if one.wait()][-1], rc.ids)",
        timeout=120,
    )
    assert cell.stdout == "4000000.0\n[True, False, True] [0, 2]\n"


def test_an_array_of_more_than_2_gib() -> None:
    with open("/proc/meminfo", encoding="ascii") as file:
        free = next(1024.0 * int(line.split()[1]) for line in file if line.startswith("MemAvailable:"))
    if free < NEEDED:
        pytest.skip(
            f"NOT TESTED: more than 2 GiB in one array; {free / 1e9:.1f} of {NEEDED / 1e9} GB are free"
        )
    with over_mpi(2) as notebook:
        notebook.ok(SETUP, timeout=120)
        cell = notebook.ok(
            "large = np.zeros(2_200_000_000, dtype=np.uint8)\n"
            "large[::1_000_003] = 7\n"
            "large[-1] = 9\n"
            "one = rc[1]\n"
            "one.push({'large': large}, block=True)\n"
            "print(one.apply_sync(lambda: (large.nbytes, int(large[-1]), int(large[1_000_003 * 2190]))))\n"
            "back = one.pull('large', block=True)\n"
            "print(back.nbytes, all((back[i : i + 2**26] == large[i : i + 2**26]).all()\n"
            "                       for i in range(0, len(large), 2**26)))",
            timeout=600,
        )
    assert cell.stdout == "(2200000000, 9, 7)\n2200000000 True\n"
