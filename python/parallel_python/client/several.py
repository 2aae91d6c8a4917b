"""An `AsyncResult` as what it is made of: its items, its parts, and what comes one after the other.

What iterating gives is what `get` gives: while tasks run, each one's as soon as it is there, and at the end
all at once.
"""

from __future__ import annotations

import builtins
import concurrent.futures
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from parallel_python.client.metadata import KEYS
from parallel_python.client.part import Part

if TYPE_CHECKING:
    from parallel_python.client.asyncresult import AsyncResult
    from parallel_python.client.client import Client


class Several:
    """A part of `parallel_python.client.asyncresult.AsyncResult`."""

    _client: Client
    _fname: str
    _parts: list[Part]
    _single_result: bool
    _return_exceptions: bool
    _split: tuple[AsyncResult, ...] | None

    @property
    def msg_ids(self) -> list[str]:
        """The tasks' ids."""
        return [part.msg_id for part in self._parts]

    @property
    def metadata(self) -> Any:
        """What is known of the tasks: a dict, or a list of them."""
        if self._single_result and self._parts:
            return self._parts[0].metadata
        return [part.metadata for part in self._parts]

    def _known(self, key: str) -> Any:
        found = [part.metadata[key] for part in self._parts]
        return found[0] if self._single_result and found else found

    def __getattr__(self, key: str) -> Any:
        if key not in KEYS:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {key!r}")
        return self._known(key)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *KEYS})

    def get_dict(self, timeout: float = -1) -> dict[int, Any]:
        """Wait and return the values by engine id.

        Of a map, an engine's value is the list of what its calls gave.

        Raises
        ------
        ValueError
            When an engine has done more than one of the tasks.
        """
        # Waits, and raises what failed.
        self._whole().get(timeout)
        ids = [part.rank for part in self._parts]
        for engine in ids:
            if ids.count(engine) > 1:
                raise ValueError(f"Cannot build dict, {ids.count(engine)} jobs ran on engine #{engine}")
        return {part.rank: part.value_or_error() for part in self._parts}  # type: ignore[misc]

    @property
    def result_dict(self) -> dict[int, Any]:
        """The values by engine id, when they are there."""
        return self.get_dict()

    def split(self) -> tuple[AsyncResult, ...]:
        """Return one `AsyncResult` for each task, the same ones each time.

        Of a map, each one's value is a list of one: the list of its task's values.
        """
        if len(self._parts) == 1:
            return (self._whole(),)
        if self._split is None:
            from parallel_python.client.asyncresult import AsyncResult

            self._split = tuple(
                AsyncResult(
                    self._client,
                    self._alone(part),
                    self._fname,
                    [part.rank],
                    return_exceptions=self._return_exceptions,
                )
                for part in self._parts
            )
        return self._split

    def _alone(self, part: Part) -> Part | list[Part]:
        """Return a task as that of a result of its own: by itself, whose value is bare, or in a list."""
        return part

    @classmethod
    def join(cls, *results: AsyncResult) -> AsyncResult:
        """Return one `AsyncResult` for the tasks of several; of one, that one.

        Raises
        ------
        ValueError
            When there is none.
        """
        if not results:
            raise ValueError("join needs at least one AsyncResult")
        first = results[0]
        if len(results) == 1:
            return first
        from parallel_python.client.asyncresult import AsyncResult

        parts = [part for result in results for part in result._parts]
        targets = [part.rank for part in parts]
        return AsyncResult(
            first._client, parts, first._fname, targets, return_exceptions=first._return_exceptions
        )

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[Any]:
        if self._single_result:
            raise TypeError("AsyncResults with a single result are not iterable.")
        return self._iterate()

    def _iterate(self) -> Iterator[Any]:
        whole = self._whole()
        if whole.done() or not self._comes_in_parts():
            yield from whole.get()
            return
        whole._before_waiting()
        for part in self._coming():
            part.wait()
            if whole.cancelled():
                raise concurrent.futures.CancelledError
            if part.error is None:
                yield from self._items(part.value())
            elif self._return_exceptions:
                yield part.error
            else:
                raise whole._combined([part.error])
        # A part wakes who waits for it before it is counted: behind the loop the result is done.
        whole.wait()

    def _comes_in_parts(self) -> bool:
        """Tell whether the value is what the tasks give, one after the other."""
        return True

    def _coming(self) -> Iterable[Part]:
        """Return the tasks in the order in which they are waited for."""
        return self._parts

    def _items(self, value: Any) -> Iterable[Any]:
        """Return what a task's value is in the whole one."""
        return (value,)

    def __getitem__(self, key: int | slice | str) -> Any:
        whole = self._whole()
        if isinstance(key, str):
            return self._known(key)
        if not whole.done():
            raise builtins.TimeoutError("Result not ready.")
        return whole.get()[key]

    def _whole(self) -> AsyncResult:
        return self  # type: ignore[return-value]  # It is a part of this class alone.
