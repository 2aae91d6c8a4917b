"""`ViewExecutor`: a view as a `concurrent.futures.Executor`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

from parallel_python.client.asyncresult import AsyncResult

if TYPE_CHECKING:
    from parallel_python.view.base import View


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
        self._shut = False

    @property
    def _max_workers(self) -> int:
        return len(self.view)

    def submit(self, __f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> AsyncResult:
        """Have a call made, and return its result to come."""
        if self._shut:
            raise RuntimeError("cannot schedule new futures after shutdown")
        result = self.view.apply_async(__f, *args, **kwargs)
        self._submitted = (
            [one for one in self._submitted if not one.done()]
            if len(self._submitted) > 64
            else self._submitted
        )
        self._submitted.append(result)
        return result

    def map(self, __f: Callable[..., Any], /, *sequences: Iterable[Any], **flags: Any) -> Iterator[Any]:  # type: ignore[override]
        """Give the values of a map as they come; flags are those of ``view.imap``."""
        if flags.pop("timeout", None) is not None:
            warnings.warn("timeout unsupported in ViewExecutor.map", stacklevel=2)
        return self.view.imap(__f, *sequences, **flags)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for what was submitted; the engines stay."""
        self._shut = True
        pending = [result for result in self._submitted if not result.done()]
        if cancel_futures and pending:
            self.view.abort(pending, block=True)
        if wait:
            for result in pending:
                result.wait()
        self._submitted.clear()
