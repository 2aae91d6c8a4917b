"""What user code sees of the environment: the user's own, not what the launch needed."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _parallel_python import Engine

#: What MPI launchers leave for their ranks. A child process that starts MPI with these in its environment
#: would join as a second copy of the rank.
LAUNCHER = (
    "OMPI_",
    "PMIX_",
    "PMI_",
    "PRTE_",
    "HYDI_",
    "HYDRA_",
    "MPI_LOCAL",
    "MPIR_CVAR_CH3_NOLOCAL",
    "MPIR_CVAR_CH3_INTERFACE_HOSTNAME",
)

#: Which variables bound the threads of numerical libraries.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def prepare(engine: Engine) -> None:
    """Put environment and module path in the state in which user code expects them."""
    strip_launch()
    for name, value in engine.restore:
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    if engine.threads is not None:
        for name in THREADS:
            os.environ.setdefault(name, str(engine.threads))
    # Figures go into the notebook whether or not a cell says so, as in ipykernel.
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    # The working directory, as in a notebook's own Python.
    if "" not in sys.path:
        sys.path.insert(0, "")
    # What C's library still holds was printed before the child prints anything.
    os.register_at_fork(before=engine.flush, after_in_child=lambda: after_fork(engine))


def strip_launch() -> None:
    """Remove the launcher's variables and ours."""
    for name in [name for name in os.environ if name.startswith(LAUNCHER)]:
        del os.environ[name]


def after_fork(engine: Engine) -> None:
    """Make a child that user code forked an ordinary process."""
    import faulthandler

    engine.after_fork()
    if faulthandler.is_enabled():
        # What makes the child crash must not be taken for the engine's last words.
        faulthandler.enable(2)
