"""What can go wrong on engines, as exceptions of the process that asked.

An exception that was raised on an engine arrives as a `RemoteError`, several of one call as a
`CompositeError`. The original exception's class is never raised here: it may not exist in this process.
"""

from __future__ import annotations

import builtins
import sys
import traceback as tracebacks
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

#: What `CompositeError` keeps of each exception: name, text, traceback, and where it came from.
Entry = tuple[str, str, str, Mapping[str, Any]]


class IPythonError(Exception):
    """Base of everything that this API raises by itself."""


class KernelError(IPythonError):
    """Something about engines or their tasks."""


class EngineError(KernelError):
    """An engine died, or left while it was waited for."""


class NoEnginesRegistered(KernelError):
    """There is no engine to do the work."""

    def __str__(self) -> str:
        if self.args:
            return super().__str__()
        return (
            "This operation requires engines. Try client.wait_for_engines(n) to wait for engines to register."
        )


class TaskAborted(KernelError):
    """The task was taken back before it began."""


class TaskTimeout(KernelError):
    """The task could not begin in the time it was given."""


class TaskRejectError(KernelError):
    """An engine refused the task."""


class UnmetDependency(KernelError):
    """What the task requires is not there."""


class ImpossibleDependency(UnmetDependency):
    """What the task waits for can never happen."""


class DependencyTimeout(ImpossibleDependency):
    """What the task waits for did not happen in time."""


class InvalidDependency(ImpossibleDependency):
    """What the task waits for does not exist, or cannot hold on one engine."""


TimeoutError = builtins.TimeoutError


def label_of(engine_info: Mapping[str, Any] | None) -> str:
    """Return where an exception came from, in brackets."""
    info = engine_info or {}
    if info.get("engine_id") is None:
        return "[Engine Exception]"
    return f"[{info['engine_id']}:{info.get('method') or 'apply'}]"


class RemoteError(KernelError):
    """An exception that was raised on an engine.

    Parameters
    ----------
    ename, evalue : str
        Its class's name and its text.
    traceback : str
        Its traceback as the engine made it.
    engine_info : dict, optional
        ``engine_id``, ``engine_uuid`` and ``method`` (``apply`` or ``execute``).
    """

    ename: str | None
    evalue: str | None
    traceback: str | None
    engine_info: Mapping[str, Any] | None

    def __init__(
        self, ename: str, evalue: str, traceback: str, engine_info: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(ename, evalue)
        self.ename, self.evalue, self.traceback = ename, evalue, traceback
        self.engine_info = dict(engine_info or {})

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.ename, self.evalue, self.traceback, self.engine_info)

    def __repr__(self) -> str:
        engine = (self.engine_info or {}).get("engine_id")
        where = "" if engine is None else f"[{engine}]"
        return f"<{type(self).__name__}{where}:{self.ename}({self.evalue})>"

    def __str__(self) -> str:
        return f"{label_of(self.engine_info)} {self.ename}: {self.evalue}"

    @property
    def entry(self) -> Entry:
        """The form in which a `CompositeError` keeps it."""
        return self.ename or "", self.evalue or "", self.traceback or "", self.engine_info or {}

    def render_traceback(self) -> list[str]:
        """Return the remote traceback's lines, headed by the engine's number."""
        text = self.traceback or f"{self.ename}: {self.evalue}"
        return [label_of(self.engine_info), *text.splitlines()]

    def print_traceback(self, excid: int | None = None) -> None:
        """Print the remote traceback."""
        print("\n".join(self.render_traceback()))

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows in place of this process's traceback."""
        return self.render_traceback()


class CompositeError(RemoteError):
    """The exceptions of several engines, out of one call.

    Parameters
    ----------
    message : str
        What was called.
    elist : list of (ename, evalue, traceback, engine_info)
        The exceptions, in the engines' order.

    Attributes
    ----------
    tb_limit : int
        How many of them are shown in full.
    """

    tb_limit = 4

    def __init__(self, message: str, elist: Iterable[Sequence[Any]]) -> None:
        self.elist: list[Entry] = [_entry(entry) for entry in elist]
        Exception.__init__(self, *(ename for ename, *_ in self.elist))
        self.msg = message
        self.ename = self.evalue = self.traceback = self.engine_info = None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.msg, self.elist)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.elist)})"

    def __str__(self) -> str:
        shown, more = self._limited()
        lines = [self.msg, *(f"{label_of(info)}{ename}: {evalue}" for ename, evalue, _, info in shown)]
        if more:
            lines.append(f".... {more} more exceptions ...")
        return "\n".join(lines)

    def render_traceback(self, excid: int | None = None) -> list[str]:
        """Return the lines of one exception's traceback, or of the first `tb_limit`.

        Raises
        ------
        IndexError
            When there is no exception of that number.
        """
        if excid is not None:
            return self._lines(self._get(excid))
        shown, more = self._limited()
        lines = [line for entry in shown for line in (*self._lines(entry), "")]
        if more:
            lines.append(f"... {more} more exceptions ...")
        return lines

    def print_traceback(self, excid: int | None = None) -> None:
        """Print one exception's traceback, or those of the first `tb_limit`."""
        print("\n".join(self.render_traceback(excid)))

    def raise_exception(self, excid: int = 0) -> NoReturn:
        """Raise one of the exceptions, as a `RemoteError`."""
        raise RemoteError(*self._get(excid))

    def _get(self, excid: int) -> Entry:
        try:
            return self.elist[excid]
        except (IndexError, TypeError):
            raise IndexError(f"an exception with index {excid} does not exist") from None

    def _limited(self) -> tuple[list[Entry], int]:
        return self.elist[: self.tb_limit], max(0, len(self.elist) - self.tb_limit)

    @staticmethod
    def _lines(entry: Entry) -> list[str]:
        ename, evalue, text, info = entry
        return [f"{label_of(info)}:", *(text or f"{ename}: {evalue}").splitlines()]


class AlreadyDisplayedError(RemoteError):
    """Exceptions whose tracebacks have been shown while they came in.

    Parameters
    ----------
    original_error : RemoteError
        What was shown.
    """

    def __init__(self, original_error: RemoteError) -> None:
        Exception.__init__(self, original_error)
        self.original_error = original_error
        self.n = len(original_error.elist) if isinstance(original_error, CompositeError) else 1
        self.ename = self.evalue = self.traceback = self.engine_info = None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.original_error,)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self})>"

    def __str__(self) -> str:
        return f"{self.n} error{'s' if self.n != 1 else ''}"

    def render_traceback(self) -> list[str]:
        """Return how many there were: they have been shown."""
        return [str(self)]

    def print_traceback(self, excid: int | None = None) -> None:
        """Print what was shown once more."""
        self.original_error.print_traceback(excid)


def _entry(entry: Sequence[Any]) -> Entry:
    ename, evalue, text, *info = entry
    return str(ename), str(evalue), text or "", (info[0] if info else None) or {}


def entry_of(error: BaseException) -> Entry:
    """Return any exception in the form in which a `CompositeError` keeps it."""
    if isinstance(error, RemoteError) and error.ename is not None:
        return error.entry
    return type(error).__name__, str(error), "", {}


def combine(errors: Sequence[BaseException], message: str) -> CompositeError:
    """Return one exception for several; those that are several already are taken apart."""
    elist: list[Entry] = []
    for error in errors:
        elist.extend(error.elist if isinstance(error, CompositeError) else [entry_of(error)])
    return CompositeError(message, elist)


Results = TypeVar("Results", bound=Iterable[Any])


def collect_exceptions(results: Results, method: str = "unspecified") -> Results:
    """Return results as they are, or raise the engines' exceptions among them as one `CompositeError`.

    Parameters
    ----------
    results : list, or dict by engine
        What engines gave. An exception that is no `RemoteError` is a value as any other.
    method : str
        What was called.
    """
    values = results.values() if isinstance(results, Mapping) else results
    errors = [value for value in values if isinstance(value, RemoteError)]
    if errors:
        raise combine(errors, f"one or more exceptions raised in: {method}")
    return results


def wrap_exception(engine_info: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the exception that is being handled as a message's content."""
    etype, value, trace = sys.exc_info()
    return {
        "status": "error",
        "ename": getattr(etype, "__name__", str(etype)),
        "evalue": str(value),
        "traceback": tracebacks.format_exception(etype, value, trace),
        "engine_info": dict(engine_info or {}),
    }


def unwrap_exception(content: Mapping[str, Any]) -> RemoteError:
    """Return the exception that a message's content describes."""
    lines = content.get("traceback", [])
    text = lines if isinstance(lines, str) else "\n".join(lines)
    return RemoteError(content["ename"], content["evalue"], text, content.get("engine_info", {}))
