"""`EngineShell`: IPython's shell as an engine has it, without ipykernel."""

from __future__ import annotations

import os
import sys
import traceback
from types import CodeType
from typing import TYPE_CHECKING, Any

from IPython.core import page
from IPython.core.error import UsageError
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from traitlets import Type

from parallel_python.engine import forks, processes, profile, tracebacks, world
from parallel_python.engine.asking import Asking
from parallel_python.engine.comms import EngineComms, Message
from parallel_python.engine.coroutines import LoopRunner
from parallel_python.engine.display import EngineDisplayHook, EnginePublisher
from parallel_python.engine.interrupts import INTERRUPTED, InterruptibleEvents, Interrupts
from parallel_python.engine.messages import pack
from parallel_python.engine.plain import run_plain
from parallel_python.engine.raised import Raised, raised
from parallel_python.engine.settled import settle
from parallel_python.engine.source import (
    NOTHING,
    SparingCompiler,
    SparingPrefilter,
    SparingTransformer,
    may_await,
)
from parallel_python.engine.streams import EngineStream

if TYPE_CHECKING:
    from contextlib import nullcontext
    from pathlib import Path

    from _parallel_python import Engine


class EngineShell(InteractiveShell):
    """Runs cells; displays, results and errors go to the notebook.

    Attributes
    ----------
    raised : Raised or None
        The last exception that was shown. Whether it is the cell's outcome is its result's to say.
    """

    display_pub_class = Type(EnginePublisher)
    displayhook_class = Type(EngineDisplayHook)
    compiler_class = Type(SparingCompiler)
    # Read or set for each cell, and watched by nobody: plain attributes where IPython has traits.
    input_transformer_manager = input_transformers_post = prefilter_manager = None
    history_manager = payload_manager = magics_manager = builtin_trap = display_trap = None
    execution_count = 1
    last_execution_succeeded = True
    last_execution_result: ExecutionResult | None = None
    engine: Engine
    interrupts: Interrupts
    comms: EngineComms
    raised: Raised | None = None
    in_statement: bool = False

    def __init__(self, **options: Any) -> None:
        self.input_transformer_manager, self.input_transformers_post = SparingTransformer(), []
        super().__init__(**options)
        settle(self)

    def attach(self, engine: Engine) -> None:
        """Give everything its way out. Before that the shell is nobody's, and may be copied."""
        self.engine, self.interrupts = engine, Interrupts(engine)
        self.comms = EngineComms(engine, self.interrupts)
        self.display_pub.engine = self.displayhook.engine = engine
        self.events.interrupts = self.interrupts

    def init_events(self) -> None:
        """Let an interrupt end what runs after a cell."""
        super().init_events()
        self.events.__class__ = InterruptibleEvents

    def init_prefilter(self) -> None:
        """Spare plain lines the questions that IPython asks of every line."""
        super().init_prefilter()
        self.prefilter_manager.__class__ = SparingPrefilter

    def init_hooks(self) -> None:
        """Show in the notebook's pager what IPython would page."""
        super().init_hooks()
        self.set_hook("show_in_pager", page.as_hook(self._show_in_pager), 99)

    def init_virtualenv(self) -> None:
        """Leave the module path alone: the engine was started with the Python that was chosen."""

    def init_environment(self) -> None:
        """Have child processes use colours and no pagers, as in a notebook's own Python."""
        os.environ["TERM"] = "xterm-color"
        for name in ("CLICOLOR", "FORCE_COLOR", "CLICOLOR_FORCE"):
            os.environ[name] = "1"
        for name in ("PAGER", "GIT_PAGER"):
            os.environ[name] = "cat"

    def _tee(self, channel: str) -> nullcontext[None]:
        """Do not keep everything that was ever printed: an engine runs for days."""
        return NOTHING

    def _format_exception_for_storage(
        self, exception: BaseException, *args: Any, **kwargs: Any
    ) -> dict[str, Any]:
        """Do not format every traceback a second time, for a history that nobody reads."""
        told = raised(exception, list)
        return {"ename": told.ename, "evalue": told.evalue, "traceback": []}

    async def run_code(
        self, code_obj: CodeType, result: ExecutionResult | None = None, *, async_: bool = False
    ) -> bool:
        """Run the code of a cell, or a part of it, which an interrupt may end."""
        if self.interrupts.allow():
            code_obj, async_ = INTERRUPTED, False
        # What a cell runs in turn (`%run`) leaves the cell's own line standing.
        outermost, self.in_statement = not self.in_statement, True
        if outermost:
            self.engine.mark_line(next((line for _, _, line in code_obj.co_lines() if line), 0))
        try:
            return await super().run_code(code_obj, result, async_=async_)
        finally:
            if outermost:
                self.in_statement = False
                self.engine.mark_line(0)
            self.interrupts.keep()

    def should_run_async(self, raw_cell: str, *, transformed_cell: str | None = None, **known: Any) -> bool:
        """Compile only cells that may need an event loop."""
        if transformed_cell is not None and not may_await(transformed_cell):
            return False
        return super().should_run_async(raw_cell, transformed_cell=transformed_cell, **known)

    def init_traceback_handlers(self, custom_exceptions: Any) -> None:
        """Show tracebacks as engines do."""
        super().init_traceback_handlers(custom_exceptions)
        self.InteractiveTB.__class__ = tracebacks.EngineTraceback

    def enable_gui(self, gui: str | None = None) -> None:
        """Accept the notebook's own way of showing figures; an engine has no screen."""
        if gui not in (None, "inline"):
            raise UsageError(f"engines have no screen for `{gui}`: use `%matplotlib inline`")

    def system(self, cmd: str) -> None:
        """Run ``!cmd``; its exit code is in ``_exit_code``, because a value would be displayed."""
        self.user_ns["_exit_code"] = processes.run(self.var_expand(cmd, depth=1))

    system_piped = system
    system_raw = system

    def ask_exit(self) -> None:
        """Say what ends engines: ``exit`` does not."""
        raise UsageError("an engine does not exit by itself: `%engines stop` ends all engines")

    def set_next_input(self, text: str, replace: bool = False) -> None:
        """Offer text as the next cell of the notebook, or in place of the present one."""
        self.payload_manager.write_payload({"source": "set_next_input", "text": text, "replace": replace})

    def show_usage_error(self, exc: BaseException) -> None:
        """Keep a mistake in using a magic as the cell's error."""
        self.raised = raised(exc, lambda: [f"UsageError: {exc}"])

    def _showtraceback(self, etype: type[BaseException], evalue: BaseException, stb: list[str]) -> None:
        self._show_former()
        self.raised = raised(evalue, lambda: stb)

    def run_task(self, code: str, store_history: bool) -> tuple[Raised | None, int]:
        """Run a cell.

        Returns
        -------
        raised : Raised or None
            The exception that ended it.
        count : int
            The execution count it had.
        """
        self.raised = None
        count = self.execution_count
        result = self.run_cell(code, store_history=store_history, silent=not store_history)
        if payloads := self.payload_manager.read_payload():
            self.payload_manager.clear_payload()
            for payload in payloads:
                self.engine.payload(pack(payload))
        error = result.error_before_exec or result.error_in_exec
        if error is None:
            self._show_former()
            return None, count
        shown = self.raised or self.describe(error)
        if self.engine.is_fork():
            forks.end(error, shown)
        return shown, count

    def run_cell(
        self, raw_cell: str, store_history: bool = False, silent: bool = False, *more: Any, **options: Any
    ) -> ExecutionResult:
        """Run a cell."""
        # Once for all that is done with it, and not for each part of that.
        with self.builtin_trap:
            result = None
            if store_history and not (silent or more or options):
                result = run_plain(self, raw_cell)
            return result or super().run_cell(raw_cell, store_history, silent, *more, **options)

    def run_comm(self, message: Message) -> Raised | None:
        """Hand a message of the frontend to its comm, which an interrupt may end; return what it raised."""
        self.raised = None
        try:
            self.comms.handle(message)
        except (Exception, KeyboardInterrupt):
            self.showtraceback()
        return self.raised

    def describe(self, error: BaseException) -> Raised:
        """Return an exception that was not shown by IPython."""
        return raised(error, lambda: "".join(traceback.format_exception_only(error)).splitlines())

    def describe_apply(self, error: BaseException) -> Raised:
        """Return what a call raised."""
        return raised(error, lambda: tracebacks.render(self, error))

    def _show_former(self) -> None:
        """Print an exception that was shown without ending the cell (a callback's, ``%tb``)."""
        if self.raised is not None:
            print("\n".join(self.raised.traceback), file=sys.stderr)
            self.raised = None

    def _show_in_pager(
        self, text: str | dict[str, Any], start: int = 0, screen_lines: int = 0, pager_cmd: str | None = None
    ) -> None:
        data = text if isinstance(text, dict) else {"text/plain": text}
        self.payload_manager.write_payload({"source": "page", "data": data, "start": max(0, start)})


def make_shell(folder: Path | None) -> EngineShell:
    """Make the process's one shell, which is no engine's yet, with the profile in this folder."""
    return EngineShell.instance(config=profile.configuration(folder), profile_dir=profile.location(folder))


def start_shell(engine: Engine) -> EngineShell:
    """Have everything in place for the engine's first cell."""
    folder = profile.find()
    shell = EngineShell.instance() if EngineShell.initialized() else make_shell(folder)
    shell.attach(engine)
    shell.loop_runner = LoopRunner(shell)
    shell.user_ns.update(world.names(engine, shell.user_ns))
    Asking(engine).install()
    # Loaded by who uses it, as all extensions that IPython has on by default.
    shell.magics_manager.register_lazy("store", "storemagic")
    profile.run_startup_code(shell, folder)
    shell.user_ns_hidden.update(shell.user_ns)
    engine.capture()
    sys.stdout, sys.stderr = EngineStream(engine, "stdout"), EngineStream(engine, "stderr")
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr
    return shell
