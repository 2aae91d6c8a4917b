"""Coroutine methods and their twins that wait: ``start_cluster`` and ``start_cluster_sync``."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextvars import copy_context
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end in a thread of its own, which a running event loop does not hinder."""
    outcome: Future[Any] = Future()

    def work() -> None:
        try:
            outcome.set_result(asyncio.run(coroutine))
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=copy_context().run, args=(work,), name="cluster", daemon=True).start()
    return outcome.result()


def with_twins(cls: type[Any]) -> type[Any]:
    """Give every public coroutine method of a class a twin that waits."""
    for name, method in list(vars(cls).items()):
        if iscoroutinefunction(method) and not name.startswith("_"):
            setattr(cls, f"{name}_sync", _twin(name, method))
    return cls


def _twin(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def twin(self: Any, *args: Any, **kwargs: Any) -> Any:
        return run(getattr(self, name)(*args, **kwargs))

    twin.__name__ = f"{name}_sync"
    twin.__doc__ = f"Wait for `{name}`."
    return twin
