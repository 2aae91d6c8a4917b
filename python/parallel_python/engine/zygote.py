"""A Python that loads what every engine needs and is then forked for each of them.

What is made here has no state that copies must not share: no threads, no files, no random numbers, nothing
of the rank, of MPI or of the user's. All that comes after the fork, in `parallel_python.engine.main`.
"""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module

from parallel_python.engine.environment import LAUNCHER

#: What launchers change for their ranks, and nothing that is loaded here has asked for.
LAUNCHERS = (
    *LAUNCHER,
    "OPAL_",
    "PATH",
    # Where there was none; the folder itself is compared.
    "PWD",
    "GFORTRAN_UNBUFFERED_PRECONNECTED",
    "HFI_NO_BACKTRACE",
    "IPATH_NO_BACKTRACE",
)

#: From how many engines on a start may take longer, so that what each would load later is loaded once.
MANY = 8


def main(options: dict[str, str]) -> None:
    """Load, then fork: runs the engine in each copy, and ends in the zygote when all are there."""
    # To look for garbage is to write to every object, and copies share only what nobody writes to.
    gc.disable()
    from _parallel_python import Zygote

    zygote = Zygote(options["config"], list(LAUNCHERS))
    try:
        load(zygote.engines >= MANY)
    except ModuleNotFoundError:
        # Each engine finds this out by itself and says it.
        return
    gc.freeze()
    sys.stdout.flush()
    sys.stderr.flush()
    started = zygote.fork_engines(int(options["listener"]))
    if started is None:
        # What was loaded has nothing to be undone.
        os._exit(0)
    changes, faults = started
    for variable, value in changes:
        if value is None:
            os.environb.pop(variable, None)
        else:
            os.environb[variable] = value
    from parallel_python import engine

    engine.main({"config": options["config"], "faults": str(faults), "door": options["door"]})


def load(everything: bool) -> None:
    """Load what engines need for their first cell, and make their shell if that runs no code of the user's.

    Parameters
    ----------
    everything : bool
        Load also what they need for their first exception and the magics that are used most.
    """
    from parallel_python.engine import profile, runner, shell  # noqa: F401

    folder = profile.find()
    if profile.is_configured(folder):
        return
    made = shell.make_shell(folder)
    if everything:
        made.InteractiveTB.rehearse_all()
        import_module("IPython.core.magics.execution")
