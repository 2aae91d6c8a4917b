"""`Answer`: what the kernel will answer to a question."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


class Answer(Future[Any]):
    """A future that refuses to be waited for where that would never end.

    Parameters
    ----------
    before_waiting : callable
        Raises in the thread that takes answers in.
    take : callable, optional
        Is called with the answer, in that thread, before anybody who waits for it is woken; a future's
        callbacks come after that.
    """

    def __init__(self, before_waiting: Callable[[], None], take: Callable[[Any], None] | None = None) -> None:
        super().__init__()
        self._before_waiting = before_waiting
        self._take = take

    def set_result(self, result: Any) -> None:
        """Give the answer."""
        try:
            if self._take is not None:
                self._take(result)
        finally:
            super().set_result(result)

    def result(self, timeout: float | None = None) -> Any:
        """Wait and return what the kernel's JSON says."""
        if not self.done():
            self._before_waiting()
        return super().result(timeout)
