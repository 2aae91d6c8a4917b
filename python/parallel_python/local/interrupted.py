"""A `KeyboardInterrupt` that ends where the user's own code called a magic.

IPython shows the innermost frame of a traceback whatever that says of itself: this exception renders its own.
"""

from __future__ import annotations

from types import TracebackType

from IPython.core.getipython import get_ipython

from parallel_python import _FILES


def _render(self: KeyboardInterrupt) -> list[str]:
    """Return the traceback as IPython makes it, of the frames before ours."""
    shell = get_ipython()
    if shell is None:
        return ["KeyboardInterrupt: "]
    kept = before_ours(self.__traceback__)
    lines: list[str] = shell.InteractiveTB.structured_traceback(KeyboardInterrupt, KeyboardInterrupt(), kept)
    return lines


def before_ours(traceback: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the frames from the first of ours on."""
    kept: list[TracebackType] = []
    while traceback is not None and not traceback.tb_frame.f_code.co_filename.startswith(_FILES):
        kept.append(traceback)
        traceback = traceback.tb_next
    result: TracebackType | None = None
    for entry in reversed(kept):
        result = TracebackType(result, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return result


# Its name is what clients are told.
Interrupted: type[KeyboardInterrupt] = type(
    "KeyboardInterrupt", (KeyboardInterrupt,), {"__module__": "builtins", "_render_traceback_": _render}
)
