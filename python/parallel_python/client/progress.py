"""Waiting with a bar that shows how many of several things are done."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION, Future, wait
from typing import Any

from parallel_python.client import bars


def wait_with_bar(
    futures: Collection[Future[Any]],
    total: int,
    progress: Callable[[], int],
    desc: str,
    interval: float,
    timeout: float | None,
    widget: bool | None = None,
    return_when: str = ALL_COMPLETED,
) -> None:
    """Wait for futures with a bar; it is drawn again at most every `interval` seconds.

    Parameters
    ----------
    futures : collection of Future
        What is waited for.
    total : int
        How many tasks that is.
    progress : callable
        Returns how many of them are done.
    desc : str
        What they are, for people.
    interval : float
        Seconds between two drawings.
    timeout : float or None
        Seconds to wait at most; None or negative: no limit.
    widget : bool, optional
        Draw it as a widget; None: where that is possible.
    return_when : {'ALL_COMPLETED', 'FIRST_EXCEPTION', 'FIRST_COMPLETED'}
        What to wait for.
    """
    until = None if timeout is None or timeout < 0 else time.monotonic() + timeout
    bar = bars.make_bar(total, desc, "tasks", widget)
    try:
        _wait(set(futures), lambda: bars.draw(bar, progress()), interval, until, return_when)
    finally:
        bars.close(bar)


def _wait(
    pending: set[Future[Any]],
    draw: Callable[[], None],
    interval: float,
    until: float | None,
    return_when: str,
) -> None:
    draw()
    while pending:
        left = None if until is None else until - time.monotonic()
        if left is not None and left <= 0:
            return
        # A bar with no news stays as it is, so that nothing wakes in vain.
        done, pending = wait(pending, left, FIRST_COMPLETED)
        if pending and interval > 0 and return_when != FIRST_COMPLETED:
            more, pending = wait(pending, interval if left is None else min(interval, left), return_when)
            done |= more
        draw()
        if return_when == FIRST_COMPLETED and done:
            return
        if return_when == FIRST_EXCEPTION and any(map(_failed, done)):
            return


def _failed(future: Future[Any]) -> bool:
    return not future.cancelled() and future.exception() is not None
