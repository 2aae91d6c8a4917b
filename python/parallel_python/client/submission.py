"""Work as it is submitted: pickled once, its large buffers shared."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from parallel_python import bulk
from parallel_python.client.link import Submission
from parallel_python.client.part import Task
from parallel_python.serialize import dumps

Dep = tuple[list[str], bool, bool, bool]


class Balance(NamedTuple):
    """Where work may go that the kernel balances; as `ClientLink.submit` takes it."""

    kind: str = "any"
    targets: list[int] | None = None
    retries: int = 0
    timeout: float | None = None
    after: Dep | None = None
    follow: Dep | None = None


def name_of(function: Any) -> str:
    """Return a function's name for people."""
    return str(getattr(function, "__name__", None) or type(function).__name__)


def apply(
    task: Task, placement: list[int] | Balance, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Submission:
    """Return a call as it is submitted.

    Raises
    ------
    pickle.PicklingError
        When something in it cannot be sent; the text names it.
    """
    call = (function, tuple(args), dict(kwargs))
    data, blobs, task.file = _pack(call)
    where = list(placement) if isinstance(placement, list) else tuple(placement)
    return task.name, f"apply({name_of(function)})", where, ("apply", data, blobs)


def _pack(
    call: tuple[Any, tuple[Any, ...], dict[str, Any]],
) -> tuple[bytes, list[Any], bulk.SharedFile | None]:
    try:
        data, buffers, _ = dumps(call)
    except Exception as error:
        raise _refusal(error, call) from None
    return data, *bulk.share(buffers)


def _refusal(error: Exception, call: tuple[Any, tuple[Any, ...], dict[str, Any]]) -> pickle.PicklingError:
    from parallel_python.serialize.diagnosis import refuse

    function, args, kwargs = call
    parts: dict[str, Any] = {f"the function `{name_of(function)}`": function}
    parts |= {f"argument {number}": value for number, value in enumerate(args, start=1)}
    parts |= {f"argument `{name}`": value for name, value in kwargs.items()}
    # What is pushed is a dict of our own making: its names are the user's.
    if len(args) == 1 and name_of(function) == "_push" and isinstance(args[0], dict):
        parts = {f"`{name}`": value for name, value in args[0].items()}
    return refuse(error, parts)


def execute(task: Task, targets: list[int], code: str, *, silent: bool) -> Submission:
    """Return code as it is submitted."""
    task.code = code
    return task.name, "execute", list(targets), ("execute", code, not silent)


Call = tuple[Callable[..., Any], Sequence[Any], Mapping[str, Any]]
