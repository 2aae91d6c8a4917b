"""How sequences are divided among engines, and put together again."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from parallel_python.copying import concatenate


def is_array(value: object) -> bool:
    """Tell whether a value is a numpy array, without importing numpy."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def is_frame(value: object) -> bool:
    """Tell whether a value is a pandas object with rows, without importing pandas."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame | pandas.Series)


def joinable(value: object) -> bool:
    """Tell whether a value is a part of a sequence.

    Texts and frames are values of their own: who gathers each engine's name or table wants them side by side.
    """
    return isinstance(value, list | tuple | range) or is_array(value)


def is_masked(value: object) -> bool:
    """Tell whether a value is a numpy array some of whose items are masked out, without importing numpy."""
    masked = sys.modules.get("numpy.ma")
    return masked is not None and isinstance(value, masked.MaskedArray)


def length(value: Any) -> int:
    """Return how many items slicing reaches: a sparse matrix has rows, and no length of its own."""
    try:
        return len(value)
    except TypeError:
        shape = getattr(value, "shape", None)
        if not shape:
            raise
        return int(shape[0])


def divisible(value: Iterable[Any]) -> Any:
    """Return something that can be sliced and has a length: a value itself, or the list of its items."""
    if is_frame(value):
        return value
    if hasattr(value, "__len__") and hasattr(value, "__getitem__") and not isinstance(value, Mapping):
        try:
            value[0:0]
        except Exception:
            pass  # A deque, a group of frames: they are indexed by other things.
        else:
            return value
    return list(value)


def items(value: Iterable[Any]) -> Any:
    """Return the same for a map, which is over what iterating gives: of a frame, its columns' names."""
    return list(value) if is_frame(value) and getattr(value, "ndim", 1) == 2 else divisible(value)


class Map:
    """Contiguous parts; the first ``n % p`` of them are one item longer."""

    def bounds(self, p: int, q: int, n: int) -> slice:
        """Return which of `n` items are part `p` of `q`."""
        size, longer = divmod(n, q)
        start = p * size + min(p, longer)
        return slice(start, start + size + (p < longer), 1)

    def getPartition(self, seq: Any, p: int, q: int, n: int | None = None) -> Any:
        """Return part `p` of `q`."""
        if not 0 <= p < q:
            raise ValueError(f"no part {p} of {q}: they are 0..{q - 1}")
        where = self.bounds(p, q, length(seq) if n is None else n)
        return seq.iloc[where] if is_frame(seq) else seq[where]

    def partition(self, seq: Any, n: int) -> list[Any]:
        """Return all parts of a sequence for `n` engines."""
        return [self.getPartition(seq, p, n) for p in range(n)]

    def join(self, parts: Sequence[Any]) -> Any:
        """Return the array that was divided, or the list of a sequence's items; of parts that are no
        sequences, their list.
        """
        if not parts or not all(joinable(part) for part in parts):
            return list(parts)
        if any(is_array(part) for part in parts):
            import numpy

            arrays = [part for part in parts if is_array(part) or len(part)]
            return self._join_arrays(arrays) if all(map(numpy.ndim, arrays)) else arrays
        return list(self._order(parts))

    joinPartitions = join

    def _order(self, parts: Sequence[Sequence[Any]]) -> Iterable[Any]:
        return chain.from_iterable(parts)

    def _join_arrays(self, parts: Sequence[Any]) -> Any:
        import numpy

        library = _library(parts)
        return concatenate(parts) if library is numpy else library.concatenate(parts)


class RoundRobinMap(Map):
    """Item `i` goes to engine ``i % p``, like cards that are dealt."""

    def bounds(self, p: int, q: int, n: int) -> slice:
        """Return which of `n` items are part `p` of `q`."""
        return slice(p, n, q)

    def _order(self, parts: Sequence[Sequence[Any]]) -> Iterable[Any]:
        longest = max(map(len, parts))
        return (part[turn] for turn in range(longest) for part in parts if turn < len(part))

    def _join_arrays(self, parts: Sequence[Any]) -> Any:
        import numpy

        library = _library(parts)
        parts = [library.asarray(part) for part in parts]
        total = sum(map(len, parts))
        joined = library.empty((total, *parts[0].shape[1:]), numpy.result_type(*parts))
        for p, part in enumerate(parts):
            joined[p :: len(parts)] = part
        return joined


def _library(arrays: Sequence[Any]) -> Any:
    """Return the part of numpy by whose functions arrays keep what is masked out of them."""
    import numpy

    return numpy.ma if any(map(is_masked, arrays)) else numpy


#: By the names that ``scatter`` and ``gather`` know.
dists: dict[str, type[Map]] = {"b": Map, "r": RoundRobinMap}


def mapper_for(dist: str) -> Map:
    """Return how to divide by name: ``b`` for contiguous parts, ``r`` for dealing out."""
    try:
        return dists[dist]()
    except KeyError:
        raise ValueError(f"dist must be 'b' (contiguous parts) or 'r' (dealt out), not {dist!r}") from None
