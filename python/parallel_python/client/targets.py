"""Which engines are meant: what users write, as engine ids."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any

from parallel_python.client.errors import NoEnginesRegistered


def resolve(targets: Any, ids: Sequence[int]) -> list[int]:
    """Return the engines that are meant.

    Parameters
    ----------
    targets : int, slice, iterable of int, 'all' or None
        As views have it; negative numbers count from the end.
    ids : list of int
        The engines that there are.

    Raises
    ------
    NoEnginesRegistered
        When there are none.
    IndexError
        When one of them is not there.
    TypeError
        When it is none of these.
    """
    if not ids:
        raise NoEnginesRegistered()
    if targets is None:
        return list(ids)
    if isinstance(targets, str):
        if targets.lower() == "all":
            return list(ids)
        raise TypeError(f"{targets!r} not valid str target, must be 'all'")
    if isinstance(targets, slice):
        return list(ids[targets])
    try:
        return [_one(operator.index(targets), ids)]
    except TypeError:
        pass
    return [_one(number, ids) for number in _numbers(targets)]


def is_one(targets: Any) -> bool:
    """Tell whether one engine is meant by its number, and results are bare values."""
    try:
        operator.index(targets)
    except TypeError:
        return False
    return True


def _numbers(targets: Any) -> list[int]:
    try:
        return [operator.index(target) for target in targets]
    except TypeError:
        kind = type(targets)
        if isinstance(targets, Iterable):
            kind = next(type(target) for target in targets if not hasattr(target, "__index__"))
        raise TypeError(f"targets by int/slice/collection of ints only, not {kind}") from None


def _one(number: int, ids: Sequence[int]) -> int:
    if number < 0 and -number <= len(ids):
        return ids[number]
    if number not in ids:
        raise IndexError(f"No such engine: {number}")
    return number
