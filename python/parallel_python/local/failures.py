"""What engines raised under a magic, as exceptions of the code that called it.

They are those of the client API, so that ``except ipp.RemoteError`` catches them; what is shown of them is
what the kernel would show of a cell of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from parallel_python.client.errors import CompositeError, RemoteError

#: An engine, and its exception's class name, text and traceback.
Each = tuple[int, str, str, list[str]]


class _Shown:
    """What both kinds have beside what the client API gives them."""

    remote_traceback: list[str]
    text: str

    def __str__(self) -> str:
        return self.text

    def _render_traceback_(self) -> list[str]:
        """Return the traceback that IPython shows instead of this process's."""
        return self.remote_traceback


class _One(_Shown, RemoteError):
    def __reduce__(self) -> tuple[Any, ...]:
        return RemoteError, (self.ename, self.evalue, self.traceback, self.engine_info)


class _Several(_Shown, CompositeError):
    def __reduce__(self) -> tuple[Any, ...]:
        return CompositeError, (self.msg, self.elist)


def failure(ename: str, evalue: str, traceback: list[str], each: Sequence[Each]) -> RemoteError:
    """Return the exception of a magic that failed.

    Parameters
    ----------
    ename, evalue, traceback
        As it is shown.
    each : list of (engine, ename, evalue, traceback)
        What each engine raised.
    """
    error: _One | _Several
    if ename == "CompositeError":
        entries = [(name, text, "\n".join(lines), _info(engine)) for engine, name, text, lines in each]
        error = _Several("one or more exceptions raised in: %px", entries)
    else:
        info = _info(each[0][0]) if len(each) == 1 else {}
        error = _class(ename)(ename, evalue, "\n".join(traceback), info)
    error.text, error.remote_traceback = evalue, traceback
    return error


def _info(engine: int) -> dict[str, Any]:
    return {"engine_id": engine, "method": "execute"}


@lru_cache(maxsize=256)
def _class(ename: str) -> type[_One]:
    """Return a class with the name of the remote one, so that it is shown as that."""
    return type(ename, (_One,), {"__module__": __name__})


_Several.__name__ = _Several.__qualname__ = "CompositeError"
