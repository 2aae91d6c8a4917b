"""Which part of a value cannot be pickled, and where it sits."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Iterator, Mapping
from types import FunctionType
from typing import Any

from parallel_python.serialize.pickling import dumps

#: How deep to look.
DEPTH = 12


def refuse(error: Exception, parts: Mapping[str, Any], start: int = 0) -> pickle.PicklingError:
    """Return an error that names the part which cannot be sent.

    Parameters
    ----------
    error : Exception
        What pickling the whole raised.
    parts : dict
        What the whole is made of, by how a person would call it.
    start : int
        The number that their first items have for that person.
    """
    for name, part in parts.items():
        if (reason := _why_not(part)) is not None:
            where, culprit, reason = _innermost(name, part, reason, DEPTH, start)
            inside = "" if where == name else f"{name} cannot be sent: "
            return pickle.PicklingError(
                f"{inside}{where} is of type `{type(culprit).__module__}.{type(culprit).__qualname__}`,"
                f" which cannot be pickled ({reason})"
            )
    return pickle.PicklingError(f"this cannot be pickled ({type(error).__name__}: {error})")


def _why_not(value: Any) -> str | None:
    """Return why a value cannot be sent, in words: an exception would hold the value."""
    try:
        dumps(value, with_helpers=False)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def _innermost(where: str, value: Any, reason: str, depth: int, start: int = 0) -> tuple[str, Any, str]:
    if depth:
        for name, child in _children(where, value, start):
            if (inner := _why_not(child)) is not None:
                return _innermost(name, child, inner, depth - 1)
    return where, value, reason


def _children(where: str, value: Any, start: int) -> Iterator[tuple[str, Any]]:
    """Give what a value is made of, and how to reach it from the whole."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield f"a key of {where}", key
            yield f"{where}[{key!r}]", item
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value, start):
            yield f"{where}[{index}]", item
    elif isinstance(value, set | frozenset):
        for item in value:
            yield f"an element of {where}", item
    elif isinstance(value, functools.partial):
        yield f"{where}.func", value.func
        yield f"{where}.args", value.args
        yield f"{where}.keywords", value.keywords
    elif isinstance(value, FunctionType):
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
            try:
                yield name, cell.cell_contents
            except ValueError:
                continue
        yield f"the defaults of {where}", value.__defaults__
        yield f"the defaults of {where}", value.__kwdefaults__
    elif isinstance(value, type):
        for name, item in value.__dict__.items():
            if not name.startswith("__"):
                yield f"{where}.{name}", item
    else:
        for name, item in getattr(value, "__dict__", {}).items():
            yield f"{where}.{name}", item
