"""An engine: one rank's Python, which runs the cells that the kernel fans out.

::

    kernel ═ MPI ═► comm thread ─► tasks ─► runner ─► EngineShell.run_cell ─► displays, result, error
           ◄══════ reports ◄────── Rust ◄── streams, displays, runner ◄──────────────┘

========================  ======================================================================
file                      what it is
========================  ======================================================================
``zygote``                loads what engines need, once for all of them
``environment``           what user code sees of the environment: the user's own, not the launch's
``runner``                one task after the other, from its source to its outcome
``operations``            pickled calls of the client API
``shell``                 `EngineShell`: IPython's shell as an engine has it
``display``               displays and results on their way to the notebook
``asking``                ``input()`` and the debugger: questions to the person at the notebook
``comms``                 widgets: their messages to and from the frontend
``completion``            what can follow, and what something is, while code is being typed
``streams``               ``sys.stdout`` and ``sys.stderr``
``messages``              Python values as JSON
``processes``             ``!command``
``coroutines``            top-level ``await``
``usage``                 what a cell has used, for ``%%px --stats``
``interrupts``            when an interrupt raises, and when not
``waits``                 what mpi4py needs when an interrupt ends a wait in MPI
``profile``               the user's IPython profile: configuration and start-up files
``world``                 `MPI`, `mpi_rank` and `mpi_size` in the user's namespace
========================  ======================================================================

Threads, signals and the ways to the kernel are Rust's (``engine/src/worker.rs``). Nothing here talks MPI.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import platform
import sys

NO_IPYTHON = """\
Parallel Python: the engines' Python has no IPython ({error}).
Install it with
    {python} -m pip install ipython
"""


def main(options: dict[str, str]) -> None:
    """Run the engine until the kernel ends it; does not return."""
    # What is made here stays: to look for garbage in it would find none.
    gc.disable()
    from _parallel_python import Engine

    faults = options.get("faults")
    engine = Engine(options["config"], None if faults is None else int(faults), options["door"])
    if engine.faults is not None:
        faulthandler.enable(engine.faults)
    stack_signal, stack_file = engine.stacks
    faulthandler.register(stack_signal, stack_file, all_threads=True)

    from parallel_python.engine import environment

    environment.prepare(engine)
    try:
        from parallel_python.engine.shell import start_shell
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "IPython":
            raise
        print(NO_IPYTHON.format(error=error, python=sys.executable), file=sys.stderr, flush=True)
        os._exit(1)
    shell = start_shell(engine)

    from parallel_python.engine.runner import Runner

    # Nor need later collections look at it, and no forked child copies it for one.
    gc.freeze()
    gc.enable()
    engine.hello(os.uname().nodename, platform.python_version(), sys.executable)
    Runner(engine, shell).serve()
