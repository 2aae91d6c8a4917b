"""The client API beside ipyparallel: the same cells on both, on the same machine, in the same run.

A cell measures by itself and leaves what it found in a file, so a notebook's own messages are in no figure.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from timed_kernel import TimedKernel

#: What both sides run. ``rc`` is the client; each figure is in milliseconds unless its name says otherwise.
MEASURE = """
import json, time
import numpy as np

view, one = rc[:], rc[0]
found = {}

def median(name, call, n, warm=5):
    times = []
    for _ in range(n + warm):
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    found[name] = sorted(times[warm:])[n // 2]

small = b'x' * 1024
median('apply_sync, one engine', lambda: one.apply_sync(int), 200)
median('apply_sync, all', lambda: view.apply_sync(int), 200)
median('push 1 KB to all', lambda: view.push({'small': small}, block=True), 200)
median('pull 1 KB from all', lambda: view.pull('small', block=True), 200)
large = np.random.default_rng(0).random(12_500_000)
median('push 100 MB to all', lambda: view.push({'large': large}, block=True), 3, 1)
median('pull 100 MB from each', lambda: view.pull('large', block=True), 3, 1)
median('scatter 100 MB', lambda: view.scatter('part', large, block=True), 3, 1)
median('gather 100 MB', lambda: view.gather('part', block=True), 3, 1)
view.execute('del large, part', block=True)
balanced = rc.load_balanced_view()
nothing = lambda n: n
balanced.map_sync(nothing, range(20))
start = time.perf_counter()
balanced.map_sync(nothing, range(2000))
found['load-balanced tasks/s'] = 2000 / (time.perf_counter() - start)
def nap(n):
    import time
    time.sleep(0.01)
start = time.perf_counter()
balanced.map_sync(nap, range(64))
found['64 naps of 10 ms, of ideal'] = (time.perf_counter() - start) / (0.01 * 64 / len(rc))
"""

#: What memory a push takes, in all processes together.
PUSH = "view.push({'large': large}, block=True)"


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


def measure(kernel: TimedKernel) -> dict[str, float]:
    """Run the cells; the figures by name."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "found.json"
        kernel.cell(f"{MEASURE}\nopen({str(path)!r}, 'w').write(json.dumps(found))")
        found: dict[str, float] = json.loads(path.read_text())
    before = memory(kernel)
    kernel.cell(PUSH)
    found["memory of a push of 100 MB, MB"] = memory(kernel) - before
    return found


def client_api(
    sizes: Sequence[int], ours: Callable[[int], TimedKernel], theirs: Callable[[int], TimedKernel]
) -> None:
    """Print the table: both sides, and how many times better ours is."""
    for n in sizes:
        with ours(n) as kernel:
            here = measure(kernel)
        with theirs(n) as kernel:
            try:
                there = measure(kernel)
            finally:
                kernel.cell("cluster.stop_cluster_sync()")
        print(f"client API, N={n}                      this kernel ipyparallel   times")
        for line in lines(here, there):
            print(line, flush=True)


def lines(here: Mapping[str, float], there: Mapping[str, float]) -> list[str]:
    """Return the table's lines; the more the better only where tasks are counted by the second."""
    found = []
    for name, mine in here.items():
        better = mine / there[name] if name.endswith("/s") else there[name] / max(mine, 0.01)
        found.append(f"  {name:<36} {mine:11.2f} {there[name]:11.2f} {better:7.1f}")
    return found
