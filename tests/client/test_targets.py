"""Which engines are meant."""

from __future__ import annotations

from typing import Any

import pytest

from parallel_python.client.errors import NoEnginesRegistered
from parallel_python.client.targets import resolve

IDS = [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("targets", "meant"),
    [
        (None, IDS), ("all", IDS), ("ALL", IDS), (2, [2]), (-1, [3]), ([3, 1], [3, 1]), ((0,), [0]),
        (range(2), [0, 1]),
        (slice(None, None, 2), [0, 2]), (slice(1, None), [1, 2, 3]), ([-1], [3]), ({2}, [2]),
    ],
)  # fmt: skip
def test_engines(targets: Any, meant: list[int]) -> None:
    assert resolve(targets, IDS) == meant


@pytest.mark.parametrize(
    ("targets", "error", "text"),
    [
        (9, IndexError, "No such engine: 9"),
        ([0, 9], IndexError, "No such engine: 9"),
        ("0", TypeError, "'0' not valid str target, must be 'all'"),
        (1.0, TypeError, "targets by int/slice/collection of ints only, not <class 'float'>"),
        (["a"], TypeError, "not <class 'str'>"),
    ],
)
def test_no_engines(targets: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        resolve(targets, IDS)


def test_there_are_none() -> None:
    with pytest.raises(NoEnginesRegistered, match="requires engines"):
        resolve("all", [])
