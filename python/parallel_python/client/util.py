"""Small helpers that notebooks import from ``ipyparallel.util``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from parallel_python.serialize.functions import interactive

__all__ = ["interactive", "log_errors", "utcnow"]


def utcnow() -> datetime:
    """Return the time, in UTC and with its zone."""
    return datetime.now(UTC)


def log_errors(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that prints what it raises, with its traceback, instead of raising it."""
    import functools
    import traceback

    @functools.wraps(function)
    def logged(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception:
            traceback.print_exc()
            return None

    return logged
