"""Which records match a query, in the way MongoDB's are written."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import datetime
from fnmatch import fnmatch
from typing import Any

Test = Callable[[Any, Any], bool]


def _ordered(compare: Test) -> Test:
    """Return a comparison that holds for nothing where there is no value."""
    return lambda value, other: value is not None and other is not None and compare(value, other)


TESTS: dict[str, Test] = {
    "$eq": operator.eq,
    "$ne": operator.ne,
    "$lt": _ordered(operator.lt),
    "$lte": _ordered(operator.le),
    "$gt": _ordered(operator.gt),
    "$gte": _ordered(operator.ge),
    "$in": lambda value, other: value in other,
    "$nin": lambda value, other: value not in other,
    "$all": lambda value, other: all(one in value for one in other),
    "$mod": lambda value, other: value is not None and value % other[0] == other[1],
    "$exists": lambda value, other: (value is not None) == bool(other),
    "$glob": lambda value, other: value is not None and fnmatch(str(value), other),
}


def matches(record: Mapping[str, Any], query: Mapping[str, Any]) -> bool:
    """Tell whether a record has all values that are asked for and passes all tests.

    Raises
    ------
    ValueError
        When there is no such test.
    """
    return all(_passes(record.get(key), wanted) for key, wanted in query.items())


def _passes(value: Any, wanted: Any) -> bool:
    if not isinstance(wanted, dict):
        return bool(value == _aware(wanted))
    for name, other in wanted.items():
        if name not in TESTS:
            raise ValueError(f"there is no test {name!r}: they are {', '.join(TESTS)}")
        if not TESTS[name](value, _aware(other)):
            return False
    return True


def _aware(wanted: Any) -> Any:
    """Return a time with its zone, which is the local one where nothing is said; anything else as it is."""
    if isinstance(wanted, datetime) and wanted.tzinfo is None:
        return wanted.astimezone()
    if isinstance(wanted, list | tuple | set):
        return [_aware(one) for one in wanted]
    return wanted
