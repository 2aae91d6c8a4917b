"""One task after the other, from its source to its outcome."""

from __future__ import annotations

import atexit
import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn

from parallel_python.engine import completion, forks, operations, tracebacks
from parallel_python.engine.comms import Message
from parallel_python.engine.raised import Raised
from parallel_python.engine.shell import EngineShell
from parallel_python.engine.usage import Meter

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
        for number, task in enumerate(iter(self.engine.next_task, None)):
            self.begin(task)
            if number == 0:
                # Later than the first task, for which somebody waits.
                self.shell.InteractiveTB.rehearse()
        self.leave()

    def begin(self, task: tuple[Any, ...]) -> None:
        """Run a task, from its source to its outcome."""
        match task:
            case (number, "execute", code, store_history, measure):
                self.execute(number, code, store_history, measure)
            case (number, "apply", call, buffers):
                self.apply(number, call, buffers)
                operations.let_go()
            case (_, "look", question, kind, code, cursor, detail):
                self.engine.answer(question, completion.answer(self.shell, kind, code, cursor, detail))
            case (number, "comm", *parts):
                self.comm(number, Message(*parts))

    def comm(self, task: int, message: Message) -> None:
        """Hand a message to its comm and report the end of that."""
        started = time.time()
        self.shell.interrupts.begin()
        raised, error = self.engine.run(lambda: self.shell.run_comm(message), task)
        self.shell.interrupts.keep()
        if error is not None:
            raised = self.shell.describe(error)
        self.engine.done(raised, self.shell.execution_count, started, time.time())

    def execute(self, task: int, code: str, store_history: bool, measure: bool = False) -> None:
        """Run a cell and report its end, and what it used if that is to be measured."""
        meter = Meter() if measure else None
        started, count = time.time(), self.shell.execution_count
        self.shell.interrupts.begin()
        value, error = self.engine.run(lambda: self.shell.run_task(code, store_history), task)
        self.shell.interrupts.keep()
        completed = time.time()
        if meter is not None:
            self.engine.usage(*meter.read())
        raised: Raised | None
        if error is not None:
            raised = self.shell.describe(error)
        else:
            raised, count = value
        if raised is not None and store_history:
            self.engine.abort_cells()
        self.engine.done(raised, count, started, completed)

    def apply(self, task: int, call: bytes, buffers: list[Any]) -> None:
        """Run a pickled call and report its value and its end."""
        started = time.time()
        self.shell.interrupts.begin()
        value, error = self.engine.run(lambda: self.call(call, buffers), task)
        self.shell.interrupts.keep()
        completed, count = time.time(), self.shell.execution_count
        if error is None:
            try:
                return self.engine.returned(*value, count, started, completed)
            except ValueError as refused:
                error = refused
        self.engine.done(self.shell.describe_apply(error), count, started, completed)
        tracebacks.let_go(error)
        # Its frames lead back to this one.
        del error

    def call(self, call: bytes, buffers: list[Any]) -> tuple[bytes, list[Any]]:
        """Run a pickled call, which an interrupt may end."""
        if self.shell.interrupts.allow():
            raise KeyboardInterrupt
        try:
            return operations.run(self.shell, call, buffers)
        except BaseException as error:
            if self.engine.is_fork():
                forks.end(error, self.shell.describe_apply(error))
            raise
        finally:
            self.shell.interrupts.keep()

    def leave(self) -> NoReturn:
        """Run the exit handlers, close MPI and end, whatever threads user code has left."""
        try:
            atexit._run_exitfuncs()
            sys.stdout.flush()
        finally:
            self.engine.leave()
