"""Dividing sequences and joining them again."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

from parallel_python.client.client import Client
from parallel_python.view.partition import Map, RoundRobinMap, divisible, items, length


@pytest.mark.parametrize("mapper", [Map(), RoundRobinMap()])
@pytest.mark.parametrize("n", [0, 1, 3, 4, 10, 17])
@pytest.mark.parametrize("make", [lambda n: list(range(n)), lambda n: tuple(range(n))])
def test_there_and_back(mapper: Map, n: int, make: Any) -> None:
    whole = make(n)
    parts = mapper.partition(whole, 4)
    assert sum(map(len, parts)) == n and max(map(len, parts)) - min(map(len, parts)) <= 1
    assert mapper.join(parts) == list(whole)


def test_the_first_parts_are_longer() -> None:
    assert Map().partition(list(range(6)), 4) == [[0, 1], [2, 3], [4], [5]]
    assert RoundRobinMap().partition(list(range(6)), 4) == [[0, 4], [1, 5], [2], [3]]


@pytest.mark.parametrize("mapper", [Map(), RoundRobinMap()])
def test_ranges_join(mapper: Map) -> None:
    assert mapper.join(mapper.partition(range(10), 4)) == list(range(10))


@pytest.mark.parametrize("mapper", [Map(), RoundRobinMap()])
@pytest.mark.parametrize("shape", [(8,), (7,), (3,), (9, 2), (5, 2, 3)])
@pytest.mark.parametrize("dtype", ["int64", "float32", "U3"])
def test_arrays_of_any_shape(mapper: Map, shape: tuple[int, ...], dtype: str) -> None:
    numpy = pytest.importorskip("numpy")
    whole = numpy.arange(numpy.prod(shape)).reshape(shape).astype(dtype)
    joined = mapper.join(mapper.partition(whole, 4))
    assert joined.dtype == whole.dtype and (joined == whole).all()


@pytest.mark.parametrize("mapper", [Map(), RoundRobinMap()])
@pytest.mark.parametrize("shape", [(4,), (7,), (5, 2)])
def test_what_is_masked_out_stays_so(mapper: Map, shape: tuple[int, ...]) -> None:
    numpy = pytest.importorskip("numpy")
    values = numpy.arange(numpy.prod(shape)).reshape(shape)
    whole = numpy.ma.array(values, mask=values % 3 == 1)
    joined = mapper.join(mapper.partition(whole, 3))
    assert (joined.mask == whole.mask).all() and (joined.data == values).all()
    parts = mapper.partition(whole, 3)
    first = parts[0].sum()
    parts[0] = parts[0].data
    assert mapper.join(parts).sum() == whole.sum() - first + parts[0].sum(), "one part that masks is enough"


@pytest.mark.parametrize("mapper", [Map(), RoundRobinMap()])
def test_texts_and_frames_are_values_of_their_own(mapper: Map) -> None:
    pandas = pytest.importorskip("pandas")
    assert mapper.join(["n0", "n1"]) == ["n0", "n1"] and mapper.join([b"a", b"b"]) == [b"a", b"b"]
    assert mapper.partition("abcdef", 2) in (["abc", "def"], ["ace", "bdf"])
    frames = [pandas.DataFrame({"x": [n]}) for n in range(2)]
    joined = mapper.join(frames)
    assert type(joined) is list and list(pandas.concat(joined).x) == [0, 1]


@pytest.mark.parametrize("mapper", [Map(), RoundRobinMap()])
def test_arrays_without_items_are_values_of_their_own(mapper: Map) -> None:
    numpy = pytest.importorskip("numpy")
    assert mapper.join([numpy.array(1.0), numpy.array(2.0)]) == [1.0, 2.0]


def test_what_cannot_be_joined_stays_as_it_is() -> None:
    assert Map().join([1, 2, 3]) == [1, 2, 3]
    assert Map().join([{"a": 1}, {"b": 2}]) == [{"a": 1}, {"b": 2}]


class Lines:
    """Has a length and lines, and no slices."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, number: int) -> str:
        if number >= 3:
            raise IndexError(number)
        return "abc"[operator.index(number)]


class Rows:
    """Has rows and slices, as a sparse matrix, and no length."""

    def __init__(self, rows: list[int]) -> None:
        self.rows = rows

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.rows), 3

    def __len__(self) -> int:
        raise TypeError("sparse array length is ambiguous; use getnnz()")

    def __getitem__(self, key: slice) -> Rows:
        return Rows(self.rows[key])

    def __iter__(self) -> Iterator[int]:
        return iter(self.rows)


def test_a_sparse_matrix_is_divided_by_rows(rc: Client) -> None:
    matrix = Rows([1, 2, 3, 4, 5, 6])
    assert divisible(matrix) is matrix and length(matrix) == 6
    lview = rc.load_balanced_view()
    for view in (rc[:], lview):
        assert view.map_sync(abs, matrix) == [1, 2, 3, 4, 5, 6]
        assert view.map_sync(pow, matrix, [2, 2, 2]) == [1, 4, 9]
        assert view.parallel(block=True)(sum)(matrix) == [3, 7, 5, 6]
    assert lview.map_sync(abs, matrix, chunksize=4) == [1, 2, 3, 4, 5, 6]
    rc[:].scatter("rows", matrix, block=True)
    assert [part.rows for part in rc[:].pull("rows", block=True)] == [[1, 2], [3, 4], [5], [6]]
    with pytest.raises(TypeError, match="has no len"):
        length(3)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ([1, 2], [1, 2]),
        (range(3), range(3)),
        ("ab", "ab"),
        ({"x": 1}, ["x"]),
        ({3}, [3]),
        (deque([1, 2]), [1, 2]),
        (iter([1]), [1]),
        (Lines(), ["a", "b", "c"]),
    ],
)
def test_what_a_map_goes_over(given: Any, found: Any) -> None:
    assert items(given) == found and divisible(given) is not None


def test_frames_are_rows_to_scatter_and_columns_to_map() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"x": [1, 2], "y": [1, 2]})
    assert divisible(frame) is frame and items(frame) == ["x", "y"]
    assert items(frame.x) is not None and list(items(frame.x)) == [1, 2]
    assert [len(group) for _, group in items(frame.groupby("x"))] == [1, 1]
