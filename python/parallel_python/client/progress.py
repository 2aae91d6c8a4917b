"""Bars that show how many of several things are done, while somebody waits for all of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION, Future, wait
from typing import Any


class PlainBar:
    """A line of text, where there is no tqdm."""

    def __init__(self, total: int, desc: str, unit: str) -> None:
        self.total, self.n = total, 0
        self._what = f"{desc}: " if desc else ""
        self._unit = unit
        self.refresh()

    def update(self, n: int = 1) -> None:
        """Say that more is done."""
        self.n += n
        self.refresh()

    def refresh(self) -> None:
        """Draw the line again."""
        sys.stdout.write(f"\r{self._what}{self.n}/{self.total} {self._unit}")
        sys.stdout.flush()

    def close(self) -> None:
        """End the line."""
        sys.stdout.write("\n")


def make_bar(total: int, desc: str, unit: str, widget: bool | None = None) -> Any:
    """Return a bar: tqdm's widget where widgets are, its text elsewhere, ours where there is no tqdm."""
    if widget is None:
        widget = _has_widgets()
    try:
        if widget:
            from tqdm.notebook import tqdm
        else:
            from tqdm import tqdm
    except ImportError:
        return PlainBar(total, desc, unit)
    return tqdm(total=total, desc=desc, unit=unit, **({} if widget else {"file": sys.stdout}))


def _has_widgets() -> bool:
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    if not hasattr(shell, "kernel"):
        return False
    try:
        import ipywidgets  # noqa: F401
    except ImportError:
        return False
    return True


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
    bar = make_bar(total, desc, "tasks", widget)

    def draw() -> None:
        if more := progress() - bar.n:
            bar.update(more)

    try:
        _wait(set(futures), draw, interval, until, return_when)
    finally:
        bar.refresh()
        bar.close()


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
