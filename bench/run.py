"""Compare with ipyparallel and ipykernel, all on this machine, in this one run.

``make bench`` prints five tables: whole sessions with engines (``sessions.py``), a plain cell
(``1+1``) beside ipykernel, a start and cells of much output, the client API, and what the way
to the engines takes without Python (``fan_out.py``). Cells that are
repeated are given by their median and 99th percentile; close everything else for figures to quote:
the load is shown. ``--quick`` takes a minute or two and shows that everything runs.
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
from fan_out import fan_out
from sessions import IPYPARALLEL, ROOT, Extent, compare
from timed_kernel import TimedKernel

OURS = "parallel-python"
IPYKERNEL = "python3"


def sample(kernel: TimedKernel, code: str, cells: int) -> list[float]:
    """Return the times of repeated cells in milliseconds, after a tenth of them to warm up."""
    for _ in range(max(5, cells // 10)):
        kernel.cell(code)
    return [kernel.cell(code) * 1000 for _ in range(cells)]


def row(name: str, times: Sequence[float]) -> str:
    """Return one line of a table: median and 99th percentile, milliseconds."""
    return f"  {name:<28} {statistics.median(times):9.2f} {statistics.quantiles(times, n=100)[98]:9.2f}"


def plain_cells(cells: int) -> None:
    """Print the time of ``1+1`` here and on ipykernel: the price of the hop to the local process."""
    print(f"`1+1`, milliseconds over {cells} cells          median       p99")
    for name, arguments in ((OURS, ["--engines", "lazy"]), (IPYKERNEL, [])):
        with TimedKernel(name, arguments) as kernel:
            label = "this kernel" if name == OURS else "ipykernel"
            print(row(label, sample(kernel, "1+1", cells)), flush=True)


def output(rounds: int) -> None:
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
        lambda n: started(IPYKERNEL, n, IPYPARALLEL.format(n=n, more="") + "rc = client"),
    )


def main() -> None:
    """Run the tables that were asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--table",
        action="append",
        choices=["sessions", "local", "output", "client", "fan-out"],
        help="default: all",
    )
    parser.add_argument("-n", "--engines", type=int, nargs="+", default=[2, 4, 8, 16])
    parser.add_argument("--cells", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--idle-seconds", type=float, default=20)
    parser.add_argument("--quick", action="store_true", help="two engines, few cells, one round")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.engines, arguments.cells, arguments.rounds, arguments.idle_seconds = [2], 20, 1, 3

    # Both sides find the same MPI, Open MPI runs as whoever we are and with more ranks than cores.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe")
    os.environ.setdefault("OMPI_MCA_rmaps_base_oversubscribe", "1")

    tables: dict[str, Callable[[], None]] = {
        "sessions": lambda: compare(
            arguments.engines, Extent(arguments.cells, arguments.rounds, arguments.idle_seconds)
        ),
        "local": lambda: plain_cells(arguments.cells),
        "output": lambda: output(arguments.rounds),
        "client": lambda: api(arguments.engines),
        "fan-out": lambda: fan_out(arguments.engines),
    }
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    for name, table in tables.items():
        if not arguments.table or name in arguments.table:
            table()
            print()


if __name__ == "__main__":
    main()
