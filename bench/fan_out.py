"""Where a tree would begin to be faster than the star around rank 0, from what this machine's MPI takes.

In the star rank 0's comm thread sends a task to each rank and passes each one's reports on, one after the
other. In a tree of two levels it does that for about as many ranks as the root of their number, and a task
and its reports make one hop more each way. The transport alone is measured (``fabric/examples/ring.rs``),
without Python: what a rank takes of rank 0's comm thread (the slope over the sizes, processor time), and what
two hops take (the last rank alone against rank 0 alone). The result holds for a core per rank; with fewer a
tree only moves work to ranks that wait for the same cores.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIGURES = re.compile(
    r"fan-out: ([\d.]+) us of rank 0's comm thread in a round, "
    r"rank 0 alone (\d+) us, the last rank alone (\d+) us"
)
ROUND = re.compile(r"p50/p99 (\d+)/\d+ us")


def fan_out(sizes: Sequence[int]) -> None:
    """Print the transport's figures for each size and the number of ranks from which a tree would pay."""
    ring = built()
    print("transport alone, microseconds      round p50   rank 0's comm thread   two hops")
    spent, hops = [], []
    for size in sizes:
        median, thread, two_hops = measure(ring, size)
        spent.append(thread)
        hops.append(two_hops)
        print(f"  N={size:<30} {median:11.0f} {thread:22.1f} {two_hops:10.0f}", flush=True)
    if len(sizes) > 1:
        each, two_hops = statistics.linear_regression(sizes, spent).slope, statistics.median(hops)
        print(
            f"  a rank takes {each:.1f} of rank 0, two hops {two_hops:.0f}: with a core per rank a tree "
            f"of two levels pays from {pays_from(each, two_hops):.0f} ranks"
        )


def pays_from(each: float, two_hops: float) -> float:
    """Return the number of ranks at which ``(N - 2 sqrt(N)) * each`` is what two hops take."""
    return float((1 + (1 + two_hops / each) ** 0.5) ** 2)


def measure(ring: Path, size: int) -> tuple[float, float, float]:
    """Return a round's median, rank 0's processor time in it and two hops, in microseconds."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["mpiexec", "-n", str(size), str(ring), *mpi(), "--folder", folder, "--idle", "0"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    found, rounds = FIGURES.search(done.stdout), ROUND.search(done.stdout)
    if done.returncode or not found or not rounds:
        raise RuntimeError(f"`{' '.join(command)}` ended with {done.returncode}: {done.stdout}{done.stderr}")
    thread, near, far = map(float, found.groups())
    return float(rounds[1]), thread, far - near


def mpi() -> list[str]:
    """Return the options that name the plugin and the library of the ``mpiexec`` that is found first."""
    version = subprocess.run(["mpiexec", "--version"], capture_output=True, text=True, check=True).stdout
    family = "mpich" if "HYDRA" in version else "openmpi"
    options = ["--plugin", str(ROOT / "build" / "bin" / f"libparallel_python_mpi_{family}.so")]
    wheel = ROOT / ".venv" / "lib" / ("libmpi.so.12" if family == "mpich" else "libmpi.so.40")
    return [*options, "--libmpi", str(wheel)] if wheel.exists() else options


def built() -> Path:
    """Build the program that measures, and return where it is."""
    package = ["--package", "parallel-python-fabric", "--example", "ring"]
    subprocess.run(
        [os.environ.get("CARGO", "cargo"), "build", "--quiet", "--release", *package], cwd=ROOT, check=True
    )
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "examples" / "ring"
