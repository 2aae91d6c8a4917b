"""Tracebacks as a person reads them: of calls the user's frames, with the lines of what came from elsewhere;
of an interrupt where it came, and no more.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from IPython.core.ultratb import AutoFormattedTB, ListTB

from parallel_python import _FILES
from parallel_python.serialize import sources

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


class EngineTraceback(AutoFormattedTB):
    """IPython's tracebacks. Those of an interrupt show a line for each call, without its surroundings.

    Nothing is wrong with that code. And what colours surroundings takes 60 ms to be loaded, on every engine
    at once, while somebody waits for the cell to stop.
    """

    def structured_traceback(
        self,
        etype: type[BaseException],
        evalue: BaseException | None = None,
        etb: TracebackType | None = None,
        tb_offset: int | None = None,
        context: int = 5,
    ) -> list[str]:
        """Return the lines of an exception's traceback."""
        if etype is KeyboardInterrupt and self.mode == "Context":
            return self._brief(evalue, etb, self.tb_offset if tb_offset is None else tb_offset)
        text: list[str] = super().structured_traceback(etype, evalue, etb, tb_offset, context)
        return text

    def rehearse(self) -> None:
        """Load the colours of an interrupt's traceback: 9 ms, for which somebody would wait."""
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            # What the user has set for colours is the user's to hear of when it is used.
            with suppress(Exception):
                self._brief(error, error.__traceback__, 0)

    def rehearse_all(self) -> None:
        """Load what shows any exception: 100 ms, which each engine would need for its first one."""
        try:
            raise ValueError
        except ValueError as error:
            with suppress(Exception):
                self.structured_traceback(ValueError, error, error.__traceback__, 0)
        # There is nothing for `%debug` to look at.
        self.tb = None
        self.rehearse()

    def _brief(self, evalue: BaseException | None, etb: TracebackType | None, offset: int) -> list[str]:
        # What IPython 8 has in its place: the types checked are those of IPython 9.
        table: Any = getattr(self, "color_scheme_table", None)
        if table is None:
            lines = ListTB(theme_name=self._theme_name)
        else:
            lines = ListTB(color_scheme=table.active_scheme_name)
        text = lines.structured_traceback(KeyboardInterrupt, evalue, etb, offset)
        return [line.rstrip("\n") for line in text]


def render(shell: InteractiveShell, error: BaseException) -> list[str]:
    """Return the lines of an exception's traceback as IPython shows it, without frames of ours."""
    sources.show()
    trace = _users(error.__traceback__)
    if _has_group(error):
        # IPython shows none of what is in it, and for cells does the same.
        return "".join(traceback.format_exception(type(error), error, trace)).splitlines()
    if trace is None:
        text: list[Any] = shell.InteractiveTB.get_exception_only(type(error), error)  # type: ignore[no-untyped-call]
    else:
        text = shell.InteractiveTB.structured_traceback(type(error), error, trace, tb_offset=0)
        # `%debug` does not look into calls, and what a call was given would live as long as this.
        shell.InteractiveTB.tb = None
    if isinstance(error, SyntaxError):
        # Its last line names a place, which nobody has seen so far.
        text[-1:] = "".join(traceback.format_exception_only(error)).splitlines()
    return [str(line) for line in text]


def let_go(error: BaseException) -> None:
    """Let go of what the frames of an exception hold, which lead back to it: else all that a call was given
    would stay until a garbage collection.
    """
    # An exception of the user's raises what it likes when it is asked, `SystemExit` too.
    with suppress(BaseException):
        for one in _chain(error):
            traceback.clear_frames(one.__traceback__)


def _has_group(error: BaseException) -> bool:
    """Tell whether an exception is a group, or was raised because of one."""
    return any(isinstance(one, BaseExceptionGroup) for one in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Give an exception and those that it was raised in the course of."""
    seen: set[int] = set()
    ahead: list[BaseException | None] = [error]
    while ahead:
        one = ahead.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            ahead += [one.__cause__, one.__context__]


def _users(trace: TracebackType | None) -> TracebackType | None:
    """Return where the user's code begins, or None where all of it is ours."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_FILES):
        trace = trace.tb_next
    return trace
