"""The client API beside ipyparallel: the same cells on both, on the same machine, in the same run.

Both sides have their engines up and take turns every second or so, because a shared machine is twice as fast
in one minute as in another. A cell measures by itself and leaves what it found in a file, so a notebook's own
messages are in no figure.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from timed_kernel import TimedKernel

#: What both sides have. ``rc`` is the client; each figure is in milliseconds unless its name says otherwise.
SETUP = """
import json, time
import numpy as np

view, one, balanced = rc[:], rc[0], rc.load_balanced_view()
found = {}
small, large = b'x' * 1024, np.random.default_rng(0).random(12_500_000)

def median(name, call, n, warm):
    times = []
    for _ in range(n + warm):
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    found[name] = sorted(times[warm:])[n // 2]

def nothing(n):
    return n

def nap(n):
    import time
    time.sleep(0.01)

view.push({'large': large}, block=True)
balanced.map_sync(nothing, range(20))
"""

CALLS = """
median('apply_sync, one engine', lambda: one.apply_sync(int), 25, 3)
median('apply_sync, all', lambda: view.apply_sync(int), 25, 3)
median('push 1 KB to all', lambda: view.push({'small': small}, block=True), 25, 3)
median('pull 1 KB from all', lambda: view.pull('small', block=True), 25, 3)
"""

#: A cell each: who has pulled 100 MB from each of 16 engines has 1.6 GB to give back.
DATA = (
    "median('push 100 MB to all', lambda: view.push({'large': large}, block=True), 1, 1)",
    "median('pull 100 MB from each', lambda: view.pull('large', block=True), 1, 1)",
    "median('scatter 100 MB', lambda: view.scatter('part', large, block=True), 1, 1)",
    "median('gather 100 MB', lambda: view.gather('part', block=True), 1, 1)",
)

#: One engine has a long task meanwhile, which must not keep short ones waiting.
BALANCED = """
long = balanced.apply_async(time.sleep, 1.5)
start = time.perf_counter()
balanced.map_sync(nothing, range(2000))
found['load-balanced beside a long task, tasks/s'] = 2000 / (time.perf_counter() - start)
long.get()
"""

#: The second kind of map is one task for each engine.
NAPS = """
for kind, map_sync in ('load-balanced', balanced.map_sync), ('view.map', view.map_sync):
    name = f'64 naps of 10 ms, {kind}, of ideal'
    median(name, lambda: map_sync(nap, range(64)), 3, 1)
    found[name] /= 640 / len(rc)
"""

#: What is measured, and how many turns each side has at it.
TURNS = {CALLS: 8, **dict.fromkeys(DATA, 3), BALANCED: 3, NAPS: 4}

#: What memory a push takes, in all processes together.
FORGET = "view.execute('del large, part', block=True)"
PUSH = "view.push({'large': large}, block=True)"

#: The figures of one side by name, one of each turn.
Figures = dict[str, list[float]]


def memory(kernel: TimedKernel) -> float:
    """Return the memory of a kernel and everything below it, and what the machine shares, in MB."""
    root = psutil.Process(kernel.manager.provisioner.process.pid)
    total = _kilobytes("/proc/meminfo", "Shmem:")
    for process in (root, *root.children(recursive=True)):
        try:
            total += _kilobytes(f"/proc/{process.pid}/smaps_rollup", "Pss_Anon:")
        except OSError:
            continue  # It has ended.
    return total / 1000


def _kilobytes(path: str, key: str) -> int:
    lines = Path(path).read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(key)), 0)


def measure(kernel: TimedKernel, code: str, figures: Figures) -> None:
    """Run a cell and keep what it found."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "found.json"
        kernel.cell(f"found.clear()\n{code}\nopen({str(path)!r}, 'w').write(json.dumps(found))")
        for name, figure in json.loads(path.read_text()).items():
            figures[name].append(figure)


def come_to_rest(kernels: Sequence[TimedKernel]) -> None:
    """Wait: what a side still does of its last turn (ipyparallel's hub files results) is in no figure."""
    for _ in range(50):
        before = sum(kernel.cpu_seconds() for kernel in kernels)
        time.sleep(0.1)
        if sum(kernel.cpu_seconds() for kernel in kernels) - before < 0.02:
            return


def take_turns(*kernels: TimedKernel) -> list[Figures]:
    """Measure everything, the kernels in turn, each turn beginning with another one."""
    sides = [(kernel, defaultdict[str, list[float]](list)) for kernel in kernels]
    for kernel, _ in sides:
        kernel.cell(SETUP)
    for code, turns in TURNS.items():
        for turn in range(turns):
            for kernel, figures in sides[:: 1 if turn % 2 else -1]:
                come_to_rest(kernels)
                measure(kernel, code, figures)
    for kernel, figures in sides:
        kernel.cell(FORGET)
        come_to_rest(kernels)
        before = memory(kernel)
        kernel.cell(PUSH)
        figures["memory of a push of 100 MB, MB"].append(memory(kernel) - before)
    return [figures for _, figures in sides]


def client_api(
    sizes: Sequence[int], ours: Callable[[int], TimedKernel], theirs: Callable[[int], TimedKernel]
) -> None:
    """Print the table: both sides, and how many times better ours is."""
    for n in sizes:
        with ours(n) as here, theirs(n) as there:
            try:
                figures = take_turns(here, there)
            finally:
                there.cell("cluster.stop_cluster_sync()")
        print(f"client API, N={n}                          this kernel ipyparallel   times")
        for line in lines(*figures):
            print(line, flush=True)


def lines(here: Figures, there: Figures) -> list[str]:
    """Return the table's lines, medians; the more the better only where tasks are counted by the second."""
    found = []
    for name in here:
        mine, other = statistics.median(here[name]), statistics.median(there[name])
        better = mine / other if name.endswith("/s") else other / max(mine, 0.01)
        found.append(f"  {name:<40} {mine:11.2f} {other:11.2f} {better:7.1f}")
    return found
