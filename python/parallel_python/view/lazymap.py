"""`LazyMapIterator`: the values of a map that reads its arguments as engines get free."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from parallel_python.view.feed import Feed

if TYPE_CHECKING:
    from parallel_python.view.balanced import LoadBalancedView

#: How many values wait for who takes them before engines are given no more, for each call that may be under
#: way: a map without end that nobody follows must not fill the memory.
AHEAD = 32


class LazyMapIterator:
    """Gives the values of calls that a feed begins.

    Parameters
    ----------
    feed : Feed
        The calls.
    return_exceptions : bool
        Whether a call that failed gives its exception.
    whole : bool
        Whether all calls are made, also when nobody takes their values any more.
    """

    def __init__(self, feed: Feed, return_exceptions: bool, whole: bool) -> None:
        self._feed = feed
        self._return_exceptions = return_exceptions
        feed.start()
        if not whole:
            weakref.finalize(self, feed.stop).atexit = False

    def __iter__(self) -> LazyMapIterator:
        return self

    def __next__(self) -> Any:
        result = self._feed.take()
        if result is None:
            raise StopIteration
        try:
            return result.result()
        except Exception as error:
            if self._return_exceptions:
                return error
            self.cancel()
            raise

    def cancel(self) -> None:
        """Begin no more calls, and take back those that have not begun."""
        self._feed.cancel()


def lazily(
    view: LoadBalancedView,
    function: Callable[..., Any],
    sequences: Sequence[Iterable[Any]],
    ordered: bool = True,
    max_outstanding: int | str = "auto",
    return_exceptions: bool = False,
    *,
    whole: bool = False,
) -> LazyMapIterator:
    """Begin a lazy map, as ``LoadBalancedView.imap`` has it; `whole` as the iterator has it."""
    assert len(sequences) > 0, "must have some sequences to map onto!"
    limit = len(view) if max_outstanding == "auto" else int(max_outstanding)
    if limit < 0:
        raise ValueError(f"max_outstanding must be at least 1, 0 (no limit) or 'auto', not {limit}")
    arguments = zip(*sequences, strict=False)
    # Its calls are made later, with the flags of now.
    feed = Feed(
        view._with(), function, arguments, ordered, limit, 0 if whole else limit * AHEAD, return_exceptions
    )
    return LazyMapIterator(feed, return_exceptions, whole)
