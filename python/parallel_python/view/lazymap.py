"""`LazyMapIterator`: a map that reads its arguments only as values are taken."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from parallel_python.client.asyncresult import AsyncResult

if TYPE_CHECKING:
    from parallel_python.view.balanced import LoadBalancedView


class LazyMapIterator:
    """Gives the values of calls, of which at most `limit` are under way.

    Parameters
    ----------
    view : LoadBalancedView
        What makes the calls.
    function : callable
        The function.
    arguments : iterator of tuple
        Its arguments, call by call.
    ordered : bool
        Whether values keep the order of the arguments.
    limit : int
        How many calls are under way at most; 0: no limit.
    return_exceptions : bool
        Whether a call that failed gives its exception.
    """

    def __init__(
        self,
        view: LoadBalancedView,
        function: Callable[..., Any],
        arguments: Iterator[tuple[Any, ...]],
        ordered: bool,
        limit: int,
        return_exceptions: bool,
    ) -> None:
        self._view = view
        self._function = function
        self._arguments = arguments
        self._ordered = ordered
        self._limit = limit
        self._return_exceptions = return_exceptions
        self._under_way: deque[AsyncResult] = deque()
        self._done: SimpleQueue[AsyncResult] = SimpleQueue()
        self._exhausted = False
        self._fill()

    def __iter__(self) -> LazyMapIterator:
        return self

    def __next__(self) -> Any:
        if not self._under_way:
            raise StopIteration
        if self._ordered:
            result = self._under_way.popleft()
        else:
            result = self._done.get()
            self._under_way.remove(result)
        try:
            value = result.get()
        except Exception as error:
            if not self._return_exceptions:
                self.cancel()
                raise
            value = error
        self._fill()
        return value

    def cancel(self) -> None:
        """Begin no more calls, and take back those that have not begun."""
        self._exhausted = True
        pending = [result for result in self._under_way if not result.done()]
        self._under_way.clear()
        if pending:
            self._view.client.abort(pending, block=False)

    def _fill(self) -> None:
        while not self._exhausted and (not self._limit or len(self._under_way) < self._limit):
            try:
                arguments = next(self._arguments)
            except StopIteration:
                self._exhausted = True
                return
            result = self._view.apply_async(self._function, *arguments)
            self._under_way.append(result)
            if not self._ordered:
                result.add_done_callback(self._done.put)  # type: ignore[arg-type]
