"""One task after the other, from its source to its outcome."""

from __future__ import annotations

import atexit
import sys
import time
from typing import TYPE_CHECKING, NoReturn

from parallel_python.engine.shell import EngineShell, Raised

if TYPE_CHECKING:
    from _parallel_python import Engine


class Runner:
    """The engine's main loop.

    An interrupt can raise `KeyboardInterrupt` only inside ``engine.run``, which hands it back as a value;
    so none ever hits this loop.
    """

    def __init__(self, engine: Engine, shell: EngineShell) -> None:
        self.engine = engine
        self.shell = shell

    def serve(self) -> NoReturn:
        """Run tasks until the engine is to quit, then leave."""
        while (task := self.engine.next_task()) is not None:
            self.run(*task)
        self.leave()

    def run(self, task: int, code: str, store_history: bool) -> None:
        """Run one task and report its end."""
        started, count = time.time(), self.shell.execution_count
        # One that came between tasks was meant for none.
        self.shell.interrupts.kept = False
        value, error = self.engine.run(lambda: self.shell.run_task(code, store_history), task)
        self.shell.interrupts.keep()
        completed = time.time()
        raised: Raised | None
        if error is not None:
            raised = self.shell.describe(error)
        else:
            raised, count = value
        self.engine.done(raised, count, started, completed)

    def leave(self) -> NoReturn:
        """Run the exit handlers, close MPI and end, whatever threads user code has left."""
        try:
            atexit._run_exitfuncs()
            sys.stdout.flush()
        finally:
            self.engine.leave()
