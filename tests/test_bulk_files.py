"""Memory files of large values: opened by who needs them, and closed again."""

from __future__ import annotations

import os

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
