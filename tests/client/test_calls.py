"""What engines make of a call, and of a part of a map."""

from __future__ import annotations

from typing import Any

import pytest

import parallel_python as ipp
from parallel_python.client.client import Client


class Big:
    """An item that is no plain value, so that it is pickled by itself."""

    def __init__(self, value: int) -> None:
        self.value = value


def first_above(value: Any) -> int:
    return next(one for one in [1, 2, 3] if one > getattr(value, "value", value))


class Counted:
    """A function that counts how often it is pickled."""

    pickled = 0

    def __reduce__(self) -> Any:
        Counted.pickled += 1
        return (getattr, (abs, "__call__"))


@pytest.mark.parametrize("text", ["abc", "map", "map pickled"])
@pytest.mark.parametrize("args", [(), (1, 2, 3)])
def test_a_text_is_no_function(rc: Client, text: str, args: tuple[int, ...]) -> None:
    with pytest.raises(ipp.RemoteError, match="TypeError: 'str' object is not callable"):
        rc[0].apply_sync(text, *args)
    with pytest.raises(TypeError, match="f must be callable, not <class 'str'>"):
        rc.load_balanced_view().apply_sync(text, *args)


@pytest.mark.parametrize("kind", [int, Big])
def test_the_end_of_an_iterator_of_the_functions_own_is_an_error(rc: Client, kind: Any) -> None:
    numbers = [kind(0), kind(5), kind(1)]
    lview = rc.load_balanced_view()
    for view in (rc[:], rc[0], lview):
        with pytest.raises(ipp.RemoteError, match="StopIteration"):
            view.map_sync(first_above, numbers)
        assert view.map_sync(first_above, numbers[:1] * 3) == [1, 1, 1]
    values = lview.map_sync(first_above, numbers, chunksize=1, return_exceptions=True)
    assert [values[0], values[2]] == [1, 2] and values[1].ename == "StopIteration"
    with pytest.raises(ipp.RemoteError, match="StopIteration"):
        lview.map_sync(first_above, numbers, chunksize=3)
    with pytest.raises(ipp.RemoteError, match="StopIteration"):
        rc[:].parallel(block=True)(first_above).map(numbers)


def test_the_function_of_a_map_is_pickled_once(rc: Client) -> None:
    for number, view in enumerate((rc[:], rc.load_balanced_view()), start=1):
        assert view.map_sync(Counted(), range(-9, 0)) == [9, 8, 7, 6, 5, 4, 3, 2, 1]
        assert Counted.pickled == number


def test_a_map_ends_with_its_shortest_sequence(rc: Client) -> None:
    for view in (rc[:], rc.load_balanced_view()):
        assert view.map_sync(pow, range(9), [2, 2, 2]) == [0, 1, 4]
        assert view.map_sync(isinstance, [Big(1), 2], [Big, Big, Big]) == [True, False]


def test_references_among_the_items_of_a_map(rc: Client) -> None:
    rc[:].push({"there": 7, "twice": abs}, block=True)
    there = ipp.Reference("there")
    for view in (rc[:], rc.load_balanced_view()):
        assert view.map_sync(abs, [there, -1]) == [7, 1]
        assert view.map_sync(isinstance, [there, Big(1)], [int, int]) == [True, False]
    assert rc.load_balanced_view().map_sync(ipp.Reference("twice"), [-3, -4]) == [3, 4]
