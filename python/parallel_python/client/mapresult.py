"""Results of maps: one sequence, made by several tasks."""

from __future__ import annotations

import queue
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from parallel_python.client.asyncresult import AsyncResult
from parallel_python.client.part import Part

if TYPE_CHECKING:
    from parallel_python.client.client import Client
    from parallel_python.view.partition import Map


class AsyncMapResult(AsyncResult):
    """A sequence of which each task makes a part.

    Parameters
    ----------
    client : Client
        Who called.
    children : list of part
        The tasks.
    mapper : Map
        How the sequence was divided.
    fname : str
        What was called, for people.
    ordered : bool
        Whether iteration keeps the order of the arguments, or takes what is there first.
    lengths : list of int, optional
        How many items each task has.
    return_exceptions : bool
        Whether exceptions take the place of items instead of being raised.
    """

    def __init__(
        self,
        client: Client,
        children: Sequence[Part],
        mapper: Map,
        fname: str = "",
        ordered: bool = True,
        lengths: Sequence[int] | None = None,
        return_exceptions: bool = False,
    ) -> None:
        self._mapper = mapper
        self._lengths = list(lengths) if lengths is not None else None
        self.ordered = ordered
        super().__init__(client, list(children), fname, owner=True, return_exceptions=return_exceptions)
        self._single_result = False

    def _join(self, values: list[Any]) -> Any:
        if any(isinstance(value, BaseException) for value in values):
            items: list[Any] = []
            for value in values:
                items.extend([value] if isinstance(value, BaseException) else self._items(value))
            return items
        return self._mapper.join(values)

    def __len__(self) -> int:
        return len(self._parts) if self._lengths is None else sum(self._lengths)

    @property
    def progress(self) -> int:
        """How many items are done."""
        if self._lengths is None:
            return super().progress
        return sum(n for n, part in zip(self._lengths, self._parts, strict=True) if part.done)

    def _alone(self, part: Part) -> list[Part]:
        return [part]

    def _comes_in_parts(self) -> bool:
        from parallel_python.view.partition import RoundRobinMap

        return not (self.ordered and isinstance(self._mapper, RoundRobinMap))

    def _coming(self) -> Iterable[Part]:
        return self._parts if self.ordered else self._as_they_come()

    def _items(self, value: Any) -> Iterable[Any]:
        from parallel_python.view.partition import is_array

        several = isinstance(value, list | tuple | range) or (is_array(value) and value.ndim > 0)
        return value if several else (value,)

    def _as_they_come(self) -> Iterator[Part]:
        done: queue.SimpleQueue[Part] = queue.SimpleQueue()
        for part in self._parts:
            part.watch(done.put)
        for _ in self._parts:
            yield done.get()


class AsyncHubResult(AsyncResult):
    """The result of tasks that another client submitted, or that this one has forgotten."""
