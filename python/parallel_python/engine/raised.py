"""`Raised`: an exception as it is told to others, whatever its class makes of being looked at.

**Invariant**: describing an exception raises nothing, not even what its own methods raise (`SystemExit` would
end the engine), and what comes of it can be sent: text that is no Unicode, as file names may be, is escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple


class Raised(NamedTuple):
    """An exception as Jupyter's ``error`` message shows it."""

    ename: str
    evalue: str
    traceback: list[str]


def raised(error: BaseException, lines: Callable[[], Iterable[object]]) -> Raised:
    """Return what is told of an exception.

    Parameters
    ----------
    error : BaseException
        The exception.
    lines : callable
        Returns the lines of its traceback; it may raise, and then there is one line.
    """
    name, text = _name_of(error), _text_of(error)
    try:
        shown = [sendable(str(line)) for line in lines()]
    except BaseException as failure:
        shown = [f"{name}: {text}", f"(its traceback cannot be shown: {_name_of(failure)})"]
    return Raised(name, text, shown)


def sendable(text: str) -> str:
    """Return text without what is no Unicode."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _name_of(error: BaseException) -> str:
    """Return the name of an exception's class, which a metaclass may hide."""
    name: str = type.__dict__["__name__"].__get__(type(error))
    return sendable(name)


def _text_of(error: BaseException) -> str:
    try:
        return sendable(str(error))
    except BaseException as failure:
        return f"<{_name_of(failure)} in str() of the exception>"
