"""`ViewExecutor`: a view as a `concurrent.futures.Executor`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any

from parallel_python.client.asyncresult import AsyncResult
from parallel_python.engine import operations

if TYPE_CHECKING:
    from parallel_python.view.balanced import LoadBalancedView
    from parallel_python.view.base import View
    from parallel_python.view.feed import Feed
    from parallel_python.view.lazymap import LazyMapIterator


class ViewExecutor(Executor):
    """Runs calls through a view.

    Parameters
    ----------
    view : View
        A load-balanced one runs each call on one engine.
    """

    def __init__(self, view: View) -> None:
        self.view = view
        self._submitted: list[AsyncResult] = []
        self._feeds: list[Feed] = []

    @property
    def _max_workers(self) -> int:
        return len(self.view)

    def submit(self, __f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> AsyncResult:
        """Have a call made, and return its result to come."""
        return self._keep(self.view.apply_async(__f, *args, **kwargs))

    def _keep(self, result: AsyncResult) -> AsyncResult:
        """Have `shutdown` wait for a result."""
        if len(self._submitted) > 64:
            self._submitted = [one for one in self._submitted if not one.done()]
        self._submitted.append(result)
        return result

    def map(self, __f: Callable[..., Any], /, *sequences: Iterable[Any], **flags: Any) -> Iterator[Any]:  # type: ignore[override]
        """Give the values of a map as they come, as `concurrent.futures.Executor.map` has it.

        All calls are made, also where nobody takes their values.

        Parameters
        ----------
        f : callable
            The function.
        *sequences : iterable
            Its arguments.
        **flags
            ``chunksize``, how many calls a task makes where the view balances, and flags of ``view.imap``.
        """
        from parallel_python.view.balanced import LoadBalancedView, chunk_size

        size = chunk_size(flags.pop("chunksize", None))
        if flags.pop("timeout", None) is not None:
            warnings.warn("timeout unsupported in ViewExecutor.map", stacklevel=2)
        if not isinstance(self.view, LoadBalancedView):
            result = self.view.map_async(__f, *sequences, **flags)
            # Nothing to map over is no result, but its value.
            return iter(self._keep(result) if isinstance(result, AsyncResult) else result)
        if size == 1:
            return self._map(self.view, __f, sequences, flags)
        # A task gets the function, and as many items of each sequence.
        chunks = [_chunks(sequence, size) for sequence in sequences]
        return _flat(self._map(self.view, operations.map_part, [repeat(__f), *chunks], flags))

    def _map(
        self,
        view: LoadBalancedView,
        function: Callable[..., Any],
        sequences: Sequence[Iterable[Any]],
        flags: dict[str, Any],
    ) -> LazyMapIterator:
        from parallel_python.view.lazymap import lazily

        values = lazily(view, function, sequences, **flags, whole=True)
        self._feeds = [feed for feed in self._feeds if not feed.done]
        self._feeds.append(values._feed)
        return values

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for what was submitted; the engines stay, and the executor can be used again."""
        pending = [result for result in self._submitted if not result.done()]
        if cancel_futures:
            for feed in self._feeds:
                feed.cancel()
            if pending:
                self.view.abort(pending, block=True)
        if wait:
            for feed in self._feeds:
                feed.wait()
            for result in pending:
                result.wait()
        self._submitted.clear()
        self._feeds.clear()


def _chunks(sequence: Iterable[Any], size: int) -> Iterator[list[Any]]:
    items = iter(sequence)
    while chunk := list(islice(items, size)):
        yield chunk


def _flat(chunks: Iterable[Any]) -> Iterator[Any]:
    """Give the values of chunks; one that failed has given its exception alone."""
    for chunk in chunks:
        if isinstance(chunk, Exception):
            yield chunk
        else:
            yield from chunk
