"""Compare with ipyparallel and ipykernel, all on this machine, in this one run.

``make bench`` prints five tables: a parallel cell (``%px pass``, history on), a plain cell
(``1+1``), a start and cells of much output, the client API, and what the kernel uses while nobody
asks anything. Cells that are repeated are given by their median and 99th percentile, the others by
their best time; close everything else for figures to quote.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from client_api import client_api
from timed_kernel import TimedKernel

ROOT = Path(__file__).resolve().parent.parent
OURS = "parallel-python"
IPYKERNEL = "python3"

# ipyparallel as its documentation starts it under MPI; `%px` then belongs to the view.
IPYPARALLEL = """
import ipyparallel as ipp
cluster = ipp.Cluster(engines="mpi", n={n}, log_level=40)
client = cluster.start_and_connect_sync(activate=True)
"""


def sample(kernel: TimedKernel, code: str, cells: int) -> list[float]:
    """Return the times of repeated cells in milliseconds, after a tenth of them to warm up."""
    for _ in range(max(5, cells // 10)):
        kernel.cell(code)
    return [kernel.cell(code) * 1000 for _ in range(cells)]


def row(name: str, times: Sequence[float]) -> str:
    """Return one line of a table: median and 99th percentile, milliseconds."""
    return f"  {name:<28} {statistics.median(times):9.2f} {statistics.quantiles(times, n=100)[98]:9.2f}"


def parallel_cells(sizes: Sequence[int], cells: int) -> None:
    """Print the time of ``%px pass`` on both, and how many times faster ours is."""
    print(f"`%px pass`, milliseconds over {cells} cells     median       p99")
    for n in sizes:
        with TimedKernel(OURS, ["-n", str(n)]) as kernel:
            ours = sample(kernel, "%px pass", cells)
        print(row(f"N={n} this kernel", ours), flush=True)
        with TimedKernel(IPYKERNEL, environment={"PYTHONPATH": str(ROOT / "build" / "peer")}) as kernel:
            kernel.cell(IPYPARALLEL.format(n=n))
            try:
                theirs = sample(kernel, "%px pass", cells)
            finally:
                kernel.cell("cluster.stop_cluster_sync()")
        print(row(f"N={n} ipyparallel", theirs))
        print(f"  N={n}: {statistics.median(theirs) / statistics.median(ours):.1f} times faster", flush=True)


def plain_cells(cells: int) -> None:
    """Print the time of ``1+1`` here and on ipykernel: the price of the hop to the local process."""
    print(f"`1+1`, milliseconds over {cells} cells          median       p99")
    for name, arguments in ((OURS, ["--engines", "lazy"]), (IPYKERNEL, [])):
        with TimedKernel(name, arguments) as kernel:
            label = "this kernel" if name == OURS else "ipykernel"
            print(row(label, sample(kernel, "1+1", cells)), flush=True)


def output(rounds: int = 3) -> None:
    """Print how long a start takes, and cells that print and display much, here and on ipykernel."""
    cells = {
        "1,000,000 prints": "for i in range(1_000_000): print(i)",
        "5,000 displays": "for i in range(5_000): display(i)",
    }
    print(f"seconds, the best of {rounds}                this kernel ipykernel   times")
    times: dict[str, dict[str, list[float]]] = {}
    for name, arguments in ((OURS, []), (IPYKERNEL, [])) * rounds:
        start = time.monotonic()
        with TimedKernel(name, arguments) as kernel:
            kernel.cell("1")
            times.setdefault("start to first reply", {}).setdefault(name, []).append(time.monotonic() - start)
            for what, code in cells.items():
                times.setdefault(what, {}).setdefault(name, []).append(kernel.cell(code))
    for what, both in times.items():
        ours, theirs = min(both[OURS]), min(both[IPYKERNEL])
        print(f"  {what:<36} {ours:9.2f} {theirs:9.2f} {theirs / ours:7.1f}", flush=True)


def idle(sizes: Sequence[int], seconds: float) -> None:
    """Print the processor time that the kernel and all its engines use while idle."""
    print(f"idle, processor seconds of all processes in {seconds:g} s")
    for n in sizes:
        with TimedKernel(OURS, ["-n", str(n)]) as kernel:
            kernel.cell("%px pass")
            # What a start leaves to do (caches, timers) is not idling.
            time.sleep(3)
            before = kernel.cpu_seconds()
            time.sleep(seconds)
            print(f"  N={n}: {kernel.cpu_seconds() - before:.2f}", flush=True)


def started(name: str, n: int, code: str) -> TimedKernel:
    """Return a kernel with a client of ``n`` engines in ``rc``."""
    peer = {"PYTHONPATH": str(ROOT / "build" / "peer")} if name == IPYKERNEL else {}
    kernel = TimedKernel(name, ["-n", str(n)] if name == OURS else [], environment=peer)
    kernel.cell(code)
    return kernel


def api(sizes: Sequence[int]) -> None:
    """Print what calls, data and load balancing take here and with ipyparallel."""
    client_api(
        sizes,
        lambda n: started(OURS, n, "import ipyparallel as ipp; rc = ipp.Client()"),
        lambda n: started(IPYKERNEL, n, IPYPARALLEL.format(n=n) + "rc = client"),
    )


def main() -> None:
    """Run the tables that were asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--table", action="append", choices=["px", "local", "output", "client", "idle"], help="default: all"
    )
    parser.add_argument("-n", "--engines", type=int, nargs="+", default=[4, 8])
    parser.add_argument("--cells", type=int, default=200)
    parser.add_argument("--idle-seconds", type=float, default=20)
    arguments = parser.parse_args()

    # Both sides find the same MPI, Open MPI runs as whoever we are and with more ranks than cores.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe")
    os.environ.setdefault("OMPI_MCA_rmaps_base_oversubscribe", "1")

    tables: dict[str, Callable[[], None]] = {
        "px": lambda: parallel_cells(arguments.engines, arguments.cells),
        "local": lambda: plain_cells(arguments.cells),
        "output": output,
        "client": lambda: api(arguments.engines),
        "idle": lambda: idle(arguments.engines, arguments.idle_seconds),
    }
    for name, table in tables.items():
        if not arguments.table or name in arguments.table:
            table()
            print()


if __name__ == "__main__":
    main()
