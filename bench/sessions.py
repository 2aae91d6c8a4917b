"""A whole session on either side, from the launch to what is used while nobody asks: one table.

The sides take turns, so that what else the machine does meets both. Small cells are timed with both sides up,
in turns of about a second, because a shared machine is twice as fast in one minute as in another; everything
else with one side up, because what both share would count half in their memory.
"""

from __future__ import annotations

import re
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from timed_kernel import CellFailed, TimedKernel

ROOT = Path(__file__).resolve().parent.parent
OURS = "this kernel"
PEER = "ipyparallel"
TUNED = "ipyparallel, 300 ms heartbeat"

#: As the documentation starts it under MPI; `%px` then belongs to the view.
IPYPARALLEL = """
import ipyparallel as ipp
cluster = ipp.Cluster(engines="mpi", n={n}, log_level=40{more})
client = cluster.start_and_connect_sync(activate=True)
"""

PIDS = "%px import os; print('pid', os.getpid())"
PEER_PIDS = "import os\nfor pid in client[:].apply_sync(os.getpid): print('pid', pid)"

#: Small cells, and how many of them a side runs in one turn, after some that only warm up.
CELLS = ("%px pass", "%px print(1)", "1+1")
TURN, WARM = 20, 3

#: How much every engine prints.
LINES = 20_000

Figures = dict[str, dict[str, list[float]]]


@dataclass(frozen=True)
class Extent:
    """How much of a session is measured."""

    cells: int
    rounds: int
    idle_seconds: float


def begin(side: str, n: int) -> TimedKernel:
    """Start a kernel of one side and have every engine run a first cell."""
    if side == OURS:
        kernel = TimedKernel("parallel-python", ["-n", str(n)], patience=300)
        setup = None
    else:
        kernel = TimedKernel(
            "python3", environment={"PYTHONPATH": str(ROOT / "build" / "peer")}, patience=300
        )
        more = ', controller_args=["--HeartMonitor.period=300"]' if side == TUNED else ""
        setup = IPYPARALLEL.format(n=n, more=more)
    try:
        kernel.__enter__()
        if setup:
            kernel.cell(setup)
        kernel.cell("%px 1")
    except BaseException:
        end(side, kernel)
        raise
    return kernel


def end(side: str, kernel: TimedKernel) -> None:
    """End a kernel and its engines."""
    try:
        if side != OURS:
            kernel.cell("cluster.stop_cluster_sync()")
    except CellFailed:
        pass
    kernel.close()


def measure(side: str, n: int, extent: Extent, note: Callable[[str, float], None]) -> None:
    """Run one session and note its figures."""
    start = time.monotonic()
    kernel = begin(side, n)
    note("launch to first `%px 1`, s", time.monotonic() - start)
    try:
        if side != TUNED and n <= 16:
            resources(side, kernel, extent, note)
            interrupt(kernel, note)
            much_output(kernel, n, note)
    finally:
        end(side, kernel)


def latency(n: int, extent: Extent, figures: Figures) -> None:
    """Keep the times of small cells, the sides in turn."""
    kernels: dict[str, TimedKernel] = {}
    try:
        for side in (OURS, PEER):
            kernels[side] = begin(side, n)
        for code in CELLS:
            times: dict[str, list[float]] = {side: [] for side in kernels}
            for turn in range(max(1, extent.cells // TURN)):
                for side in list(kernels)[:: 1 if turn % 2 else -1]:
                    for _ in range(WARM):
                        kernels[side].cell(code)
                    times[side] += [kernels[side].cell(code) * 1000 for _ in range(TURN)]
            for side, taken in times.items():
                keep(figures, side, f"`{code}` p50, ms", statistics.median(taken))
                keep(figures, side, f"`{code}` p99, ms", statistics.quantiles(taken, n=100)[98])
    finally:
        for side, kernel in kernels.items():
            end(side, kernel)


def resources(side: str, kernel: TimedKernel, extent: Extent, note: Callable[[str, float], None]) -> None:
    """Note memory, and the processor time of an idle session."""
    said = kernel.output(PIDS if side == OURS else PEER_PIDS)
    engines = [int(pid) for pid in re.findall(r"pid (\d+)", said)]
    note("memory (PSS) of an engine, MiB", kernel.pss(engines) / max(1, len(engines)) / 2**20)
    note("memory (PSS) in all, MiB", kernel.pss() / 2**20)
    # What the cells before left to do (caches, timers) is not idling.
    time.sleep(min(3, extent.idle_seconds))
    before = kernel.cpu_seconds()
    time.sleep(extent.idle_seconds)
    note(f"processor time idle for {extent.idle_seconds:g} s, s", kernel.cpu_seconds() - before)


def interrupt(kernel: TimedKernel, note: Callable[[str, float], None]) -> None:
    """Note how long an interrupted cell takes to end, and whether the next one runs."""
    seconds, ended = kernel.interrupt("%px import time; time.sleep(60)")
    note("interrupt to idle, s", seconds)
    try:
        note("the next `%px pass`, s", kernel.cell("%px pass"))
    except CellFailed:
        ended = False
    note("cells lost", 0 if ended else 1)


def much_output(kernel: TimedKernel, n: int, note: Callable[[str, float], None]) -> None:
    """Note how long it takes to see what all engines print, and whether all of it is seen."""
    start = time.monotonic()
    said = kernel.output(f"%px for _ in range({LINES}): print('x' * 80)")
    note(f"{LINES} lines of 80 from each engine, s", time.monotonic() - start)
    note("lines lost", n * LINES - said.count("x" * 80))


def compare(sizes: Sequence[int], extent: Extent) -> None:
    """Print the figures of both sides for each number of engines, and how many times ours are better."""
    for n in sizes:
        figures: Figures = defaultdict(lambda: defaultdict(list))
        for _ in range(extent.rounds):
            for side in (OURS, PEER, TUNED):
                try:
                    measure(side, n, extent, partial(keep, figures, side))
                except CellFailed as error:
                    print(f"  N={n} {side}: {error}", flush=True)
            try:
                latency(n, extent, figures)
            except CellFailed as error:
                print(f"  N={n} small cells: {error}", flush=True)
        print(f"N={n}, the median of {extent.rounds} sessions    {OURS:>12} {PEER:>12}  times")
        for what, sides in figures.items():
            show(what, sides.get(OURS), sides.get(PEER))
            if sides.get(TUNED):
                show("  with its heartbeat at 300 ms", sides.get(OURS), sides[TUNED])
        print(flush=True)


def keep(figures: Figures, side: str, what: str, value: float) -> None:
    """Keep a figure."""
    figures[what][side].append(value)


def show(what: str, ours: list[float] | None, theirs: list[float] | None) -> None:
    """Print one row."""
    texts = [f"{statistics.median(side):12.3g}" if side else f"{'-':>12}" for side in (ours, theirs)]
    times = ""
    if ours and theirs and statistics.median(ours) > 0:
        times = f"{statistics.median(theirs) / statistics.median(ours):6.1f}"
    print(f"  {what:<40}{texts[0]} {texts[1]} {times}")
