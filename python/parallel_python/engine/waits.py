"""What mpi4py needs when an interrupt ends a wait in MPI.

Rust calls this on the main thread, while mpi4py waits (``engine/src/worker/interrupted.rs``). The wait is
about to fail; mpi4py then makes an ``MPI.Exception``, in whose place comes what the signal's handler raised.
"""

from __future__ import annotations

import gc
import sys
from typing import Any

from _parallel_python import raise_kept

#: Requests that were active when a wait was interrupted. MPI goes on with them, so their buffers must live.
kept: list[Any] = []
_initialize: list[Any] = []


def interrupted() -> None:
    """Keep what MPI may still write to, and have mpi4py's next exception be the handler's."""
    MPI = sys.modules.get("mpi4py.MPI")
    if MPI is None:
        return
    active = [one for one in gc.get_objects() if issubclass(type(one), MPI.Request) and one]
    kept[:] = active
    if not _initialize:
        _initialize.append(MPI.Exception.__init__)
        MPI.Exception.__init__ = raise_kept


def over() -> None:
    """Make mpi4py's exceptions what they were: the task is over."""
    if _initialize:
        sys.modules["mpi4py.MPI"].Exception.__init__ = _initialize.pop()
