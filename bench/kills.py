"""A thousand kills in a row, at random moments: nothing hangs, nothing is left.

    python bench/kills.py [--kills 1000] [--engines 4] [--seed 1] [--minutes 60]

Each round runs a cell on all engines, kills one engine or two of them at a random moment (before
the cell, within it or after it), and then asks: did the cell end in time, does it name the dead, do the rest
still answer, and does a restart bring all back? At the end the kernel is shut down, and nothing of it may be
left.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from notebook import Cell, Notebook, descendants, wait_until_gone

SETUP = "from mpi4py import MPI\nimport time\ncomm = MPI.COMM_WORLD\nrank, size = comm.rank, comm.size\n"
#: What the engines do when it happens. Each would go on for ever.
WORK = {
    "sleep": "time.sleep(600)",
    "loop": "while True: pass",
    "allreduce": "while True: comm.allreduce(1)",
    "Barrier": "while True: comm.Barrier()",
    "ring": "while True: comm.sendrecv(1, (rank + 1) % size, 0, None, (rank - 1) % size, 0)",
    "recv": "comm.recv()",
    "print": "while True: print('x' * 1000); time.sleep(0.001)",
}
SIGNALS = [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS]
#: No cell and no restart may take longer than this, in seconds, whatever the machine does beside.
HUNG = 60.0


class Hung(AssertionError):
    """Something did not end."""


def round_of_kills(nb: Notebook, dice: random.Random) -> tuple[str, float, float]:
    """Kill once and get over it: what ran, how long its cell took to end, and how long the restart took."""
    pids = {engine["engine"]: engine["pid"] for engine in nb.engines()}
    work = dice.choice(list(WORK))
    victims = dice.sample(sorted(pids), dice.choice([1, 1, 1, 2]))
    killed: list[float] = []

    def kill() -> None:
        for victim in victims:
            os.kill(pids[victim], dice.choice(SIGNALS))
        killed.append(time.monotonic())

    timer = threading.Timer(dice.uniform(0, 0.3), kill)
    timer.start()
    cell = nb.run(f"%%px\n{SETUP}{WORK[work]}", timeout=HUNG)
    ended = time.monotonic()
    timer.join()
    check(cell, victims)
    survivors = [rank for rank in pids if rank not in victims]
    for survivor in survivors:
        nb.ok(f"%%px -t {survivor}\nprint('alive')", timeout=HUNG)
    begun = time.monotonic()
    nb.ok("%engines restart", timeout=HUNG)
    nb.ok("%px 1", timeout=HUNG)
    return work, ended - killed[0], time.monotonic() - begun


def check(cell: Cell, victims: list[int]) -> None:
    """Hold a cell to what it must say."""
    assert cell.status == "error", cell.stdout[-200:]
    assert any(f"engine {victim} on " in cell.error for victim in victims), f"{victims}: {cell.error}"
    assert "%engines restart" in cell.error, cell.error


def main() -> None:
    """Kill as often as there is time for, and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--engines", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--mpiexec")
    options = parser.parse_args()
    dice = random.Random(options.seed)
    until = time.monotonic() + options.minutes * 60
    arguments = ["--mpiexec", options.mpiexec] if options.mpiexec else []
    ends, restarts, seen = [], [], set()
    with Notebook(engines=options.engines, arguments=arguments) as nb:
        nb.ok("%px 1", timeout=HUNG)
        while len(ends) < options.kills and time.monotonic() < until:
            seen |= descendants(nb.pid) | {nb.pid}
            work, end, restart = round_of_kills(nb, dice)
            ends.append(end)
            restarts.append(restart)
            if len(ends) % 50 == 0:
                print(f"{len(ends)} kills, the last in `{work}`", flush=True)
        seen |= descendants(nb.pid) | {nb.pid}
    left = wait_until_gone(seen, 10)
    print(
        f"{len(ends)} kills: nothing hung, {len(left)} processes left; "
        f"a cell ended {statistics.median(ends):.2f} s after the kill ({max(ends):.2f} at most), "
        f"a restart took {statistics.median(restarts):.2f} s ({max(restarts):.2f} at most)"
    )
    sys.exit(bool(left))


if __name__ == "__main__":
    main()
