"""Tracebacks of calls as a person reads them: the user's frames, with the lines of what came from
elsewhere.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any

from parallel_python.serialize import sources

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

#: In what files our own frames are.
OURS = "parallel_python/"


def render(shell: InteractiveShell, error: BaseException) -> list[str]:
    """Return the lines of an exception's traceback as IPython shows it, without frames of ours."""
    sources.show()
    trace = _users(error.__traceback__)
    if trace is None:
        text: list[Any] = shell.InteractiveTB.get_exception_only(type(error), error)  # type: ignore[no-untyped-call]
        return text
    text = shell.InteractiveTB.structured_traceback(type(error), error, trace, tb_offset=0)
    return [str(line) for line in text]


def _users(trace: TracebackType | None) -> TracebackType | None:
    """Return where the user's code begins, or None where all of it is ours."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(OURS):
        trace = trace.tb_next
    return trace
