"""What a cell uses: processor time and memory, as the system counts them for the whole process."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import NamedTuple


class Usage(NamedTuple):
    """Processor time in seconds, and the most memory that was resident, in bytes."""

    cpu: float
    peak: int


class Meter:
    """Measures from when it is made until it is read."""

    def __init__(self) -> None:
        try:
            # The system forgets the peak that was, so that the next one is the cell's own.
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            pass
        self._cpu = _cpu()

    def read(self) -> Usage:
        """Return what was used since."""
        return Usage(_cpu() - self._cpu, _peak())


def _cpu() -> float:
    """Return the processor time of this process and of the children it has waited for, in seconds."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def _peak() -> int:
    """Return the most memory that was resident since the peak was last forgotten, in bytes."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    except (OSError, IndexError, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
