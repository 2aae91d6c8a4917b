"""`Feed`: calls of a map, begun one after the other as there is room for them.

Arguments are read in a thread of the feed's own, because reading them may take its time and the thread that
completes results has none. **Invariant**: at most `limit` calls are unfinished. The thread sleeps while there
is no room, and ends with the arguments.
"""

from __future__ import annotations

import pickle
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parallel_python.view.balanced import LoadBalancedView


class Feed:
    """Calls that are under way, and results that nobody has taken yet.

    Parameters
    ----------
    view : LoadBalancedView
        What makes the calls.
    function : callable
        The function.
    arguments : iterator of tuple
        Its arguments, call by call.
    ordered : bool
        Whether results are taken in the order of the arguments, or as they are done.
    limit : int
        How many calls are under way at most; 0: no limit.
    most : int
        How many results are kept for those who take them, at most; 0: no limit.
    keeps_errors : bool
        Whether a call whose arguments cannot be sent has its error for a result, and the others are made.
    """

    def __init__(
        self,
        view: LoadBalancedView,
        function: Callable[..., Any],
        arguments: Iterator[tuple[Any, ...]],
        ordered: bool,
        limit: int,
        most: int,
        keeps_errors: bool = False,
    ) -> None:
        self._view = view
        self._function = function
        self._arguments = arguments
        self._ordered = ordered
        self._limit, self._most = limit, most
        self._keeps_errors = keeps_errors
        self._changed = threading.Condition()
        self._results: deque[Future[Any]] = deque()
        self._unfinished: set[Future[Any]] = set()
        self._over = self._cancelled = False
        self.thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin the first call, and raise what is wrong with it; the others begin in the thread."""
        if self._begin():
            self.thread = threading.Thread(target=self._run, name="parallel-python-map", daemon=True)
            self.thread.start()

    def take(self) -> Future[Any] | None:
        """Wait for the next result, which may not be done where the order is kept; None: there is none."""
        with self._changed:
            self._changed.wait_for(lambda: self._results or self._nothing_comes())
            if not self._results:
                return None
            self._changed.notify_all()
            return self._results.popleft()

    def _nothing_comes(self) -> bool:
        return self._over and (self._ordered or not self._unfinished)

    def stop(self) -> None:
        """Begin no more calls."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def cancel(self) -> None:
        """Begin no more calls, and take back those that have not begun."""
        with self._changed:
            self._cancelled = True
            unfinished = list(self._unfinished)
            self._results.clear()
            self.stop()
        if unfinished:
            self._view.client.abort(unfinished, block=False)

    @property
    def done(self) -> bool:
        """Whether all calls have been made, and are done."""
        return self._over and not self._unfinished

    def wait(self) -> None:
        """Wait until all calls have been made, and are done."""
        with self._changed:
            self._changed.wait_for(lambda: self.done)

    # What follows runs in the thread.

    def _run(self) -> None:
        try:
            while self._wait_for_room() and self._begin():
                pass
        except BaseException as error:
            # What ends a program does not end this thread in silence: who takes values is in the program's.
            self._put(error)
        finally:
            self.stop()

    def _put(self, error: BaseException) -> None:
        """Have who takes values meet an error where the value would have been."""
        failed: Future[Any] = Future()
        failed.set_exception(error)
        with self._changed:
            if not self._cancelled:
                self._results.append(failed)
            self._changed.notify_all()

    def _wait_for_room(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._over or self._has_room())
            return not self._over

    def _has_room(self) -> bool:
        under_way = self._limit and len(self._unfinished) >= self._limit
        kept = self._most and len(self._results) >= self._most
        return not (under_way or kept)

    def _begin(self) -> bool:
        """Begin one call; whether there was one to begin."""
        try:
            arguments = next(self._arguments)
        except StopIteration:
            self.stop()
            return False
        try:
            result = self._view.apply_async(self._function, *arguments)
        except pickle.PicklingError as error:
            if not self._keeps_errors:
                raise
            self._put(error)
            return True
        with self._changed:
            cancelled = self._cancelled
            self._unfinished.add(result)
            if self._ordered and not cancelled:
                self._results.append(result)
            self._changed.notify_all()
        result.add_done_callback(self._note_done)
        if cancelled:
            self._view.client.abort(result, block=False)
        return not cancelled

    def _note_done(self, result: Future[Any]) -> None:
        """Make room; in the thread that completes results."""
        with self._changed:
            self._unfinished.discard(result)
            if not self._ordered and not self._cancelled:
                self._results.append(result)
            self._changed.notify_all()
