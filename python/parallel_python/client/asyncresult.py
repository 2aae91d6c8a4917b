"""`AsyncResult`: what a call on engines will give.

It is a `concurrent.futures.Future`, so that whatever waits for futures can wait for it, and it can be
awaited. Its parts are completed by the link's thread; an `AsyncResult` only counts them. Values are
unpickled when they are first wanted, in the thread that wants them.
"""

from __future__ import annotations

import builtins
import concurrent.futures
import threading
import warnings
from concurrent.futures import FIRST_COMPLETED, FIRST_EXCEPTION, Future
from concurrent.futures._base import CANCELLED
from contextlib import AbstractContextManager
from numbers import Integral
from typing import TYPE_CHECKING, Any, NoReturn

from parallel_python.client.errors import combine
from parallel_python.client.part import Part
from parallel_python.client.several import Several
from parallel_python.client.timing import Timing
from parallel_python.client.waitable import Waitable, no_limit

if TYPE_CHECKING:
    from parallel_python.client.client import Client
    from parallel_python.client.clientlink import Bell

_counting = threading.Lock()


class AsyncResult(Timing, Several, Waitable):
    """What a call on engines will give: one value, or one for each engine.

    Parameters
    ----------
    client : Client
        Who called.
    children : part, msg_id, or list of them
        The tasks.
    fname : str
        What was called, for people.
    targets : int, list of int, or None
        An int means one bare value instead of a list.
    owner : bool
        Whether the client forgets the results when this is done.
    return_exceptions : bool
        Whether exceptions take the place of values instead of being raised.
    """

    def __init__(
        self,
        client: Client,
        children: Any,
        fname: str = "unknown",
        targets: Any = None,
        owner: bool = False,
        return_exceptions: bool = False,
    ) -> None:
        super().__init__()
        single = isinstance(children, Part | str | Future)
        self._client = client
        self._parts: list[Part] = client._parts_of([children] if single else children)
        self._fname = fname
        self._targets = targets
        self.owner = owner
        self._return_exceptions = return_exceptions
        self._single_result = single or (len(self._parts) == 1 and isinstance(targets, Integral))
        self._left = len(self._parts)
        self._cache: Any = None
        self._made = False
        self._split: tuple[AsyncResult, ...] | None = None
        if not self._parts:
            self._complete()
        # One for all: thousands of them cost the garbage collector something.
        watcher = self._part_done
        for part in self._parts:
            part.watch(watcher)

    # Completion, in the link's thread.

    def _part_done(self, part: Part) -> None:
        with _counting:
            self._left -= 1
            if self._left:
                return
        self._complete()

    def _complete(self) -> None:
        if self.owner:
            self._client._forget_parts(self._parts)
        error = None if self._return_exceptions else self._error()
        try:
            if error is None:
                self.set_result(None)
            else:
                self.set_exception(error)
        except concurrent.futures.InvalidStateError:
            pass  # It was cancelled: nobody wants to know.

    # Here, where no interrupt comes (`parallel_python.local.locks`): it would keep the lock.

    def _ring_when_done(self, bell: Bell) -> bool:
        """Have a bell rung when it is done; whether it will be: not where it is done already."""
        with self._condition:
            if self.done():
                return False
            self._bells += (bell,)
            return True

    def _ring_no_more(self, bell: Bell) -> None:
        """Forget a bell, if it was not rung."""
        with self._condition:
            self._bells = tuple(one for one in self._bells if one is not bell)

    def cancel(self) -> bool:
        """Give it up: it has no value then, whatever engines give. Who waits for several futures is told."""
        given_up = super().cancel()
        with self._condition:
            if self._state == CANCELLED:
                self.set_running_or_notify_cancel()
        return given_up

    def _error(self) -> BaseException | None:
        errors = [part.error for part in self._parts if part.error is not None]
        if not errors:
            return None
        return errors[0] if self._single_result else self._combined(errors)

    def _has_failed(self) -> bool:
        kept = self._return_exceptions and not self._single_result
        return not kept and self._error() is not None

    def _combined(self, errors: list[Exception]) -> BaseException:
        return combine(errors, f"one or more exceptions raised in: {self._fname}")

    # Values.

    def get(
        self,
        timeout: float | None = None,
        return_exceptions: bool | None = None,
        return_when: str | None = None,
    ) -> Any:
        """Wait and return the value, or the list of the engines' values in their order.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most; None or negative: no limit.
        return_exceptions : bool, optional
            Put exceptions into the list instead of raising them.
        return_when : {'ALL_COMPLETED', 'FIRST_EXCEPTION'}, optional
            With ``FIRST_EXCEPTION``, raise as soon as one engine has failed.

        Raises
        ------
        RemoteError
            What the engine raised (`CompositeError` where several were asked).
        TimeoutError
            When it is not done in time.
        CancelledError
            When it was cancelled: as the future it is, it has no value then, whatever engines give.
        """
        if return_when == FIRST_COMPLETED:
            warnings.warn(
                "FIRST_COMPLETED waits for everything here: iterate to get values as they come", stacklevel=2
            )
        if return_exceptions is None:
            return_exceptions = self._return_exceptions
        if return_when == FIRST_EXCEPTION and not return_exceptions and not self.done():
            self._wait_for_failure(timeout)
        elif not self.wait(timeout):
            raise builtins.TimeoutError("Result not ready.")
        if self.cancelled():
            raise concurrent.futures.CancelledError
        if not return_exceptions and (error := self._error()) is not None:
            raise error
        return self._value_of(return_exceptions)

    def _wait_for_failure(self, timeout: float | None) -> None:
        done, pending = self.wait(timeout, FIRST_EXCEPTION)
        failed = [result for result in done if result._parts[0].error is not None]
        if failed:
            if self._single_result:
                raise failed[0]._parts[0].error
            raise self._combined([part.error for part in self._parts if part.done and part.error is not None])
        if pending:
            raise builtins.TimeoutError("Result not ready.")

    def _value_of(self, return_exceptions: bool) -> Any:
        if return_exceptions and any(part.error is not None for part in self._parts):
            return self._join([part.value_or_error() for part in self._parts])
        if not self._made:
            self._cache = self._join([part.value() for part in self._parts])
            self._made = True
        return self._cache

    def _join(self, values: list[Any]) -> Any:
        """Make what the caller gets of the parts' values."""
        return values[0] if self._single_result and values else values

    def result(self, timeout: float | None = None) -> Any:
        """Wait and return the value, as `concurrent.futures.Future` has it."""
        self._before_waiting()
        super().result(no_limit(timeout))
        return self._value_of(self._return_exceptions)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait and return what `result` raises; None where there is a value.

        What cannot be unpickled here is an exception too: who awaits a future asks for this first.
        """
        self._before_waiting()
        error = super().exception(no_limit(timeout))
        if error is None:
            try:
                self._value_of(self._return_exceptions)
            except Exception as why:
                return why
        return error

    def _get_snapshot(self) -> tuple[bool, bool, Any, BaseException | None]:
        """Return whether it is done, whether it was cancelled, its value, its exception.

        By this the `asyncio` of newer Pythons copies a future; the base class knows no values of ours.
        """
        if not self.done() or self.cancelled():
            return self.done(), self.cancelled(), None, None
        error = self.exception()
        return True, False, self.result() if error is None else None, error

    @property
    def r(self) -> Any:
        """The value, when it is there."""
        return self.get()

    def __repr__(self) -> str:
        if self.cancelled():
            state = "cancelled"
        elif not self.done():
            state = "pending"
        else:
            state = "failed" if self._has_failed() else "finished"
        return f"<{type(self).__name__}({self._fname}): {state}>"

    def __copy__(self) -> NoReturn:
        # A copy would have an end of its own, which nobody would tell it of.
        raise TypeError(f"{type(self).__name__} cannot be copied: it is completed by the engines, once")

    # What it showed.

    def display_outputs(self, groupby: str = "type", result_only: bool = False) -> None:
        """Wait, and show what the engines printed, displayed and gave.

        Parameters
        ----------
        groupby : {'type', 'engine', 'order'}
            What stands together: all text, then all displays; each engine's; or the engines' first
            displays, then their second ones.
        result_only : bool
            Show nothing but values of last expressions.
        """
        from parallel_python.client.display import display_parts

        self.wait()
        display_parts(self._parts, groupby, result_only, single=self._single_result)

    def stream_output(self) -> AbstractContextManager[None]:
        """Show, in the body of a ``with`` statement, what engines print and display while it comes."""
        from parallel_python.client.stream import stream_parts

        return stream_parts(self._parts, single=self._single_result)


def __getattr__(name: str) -> Any:
    """Return what ipyparallel has in this module, and we have beside it."""
    if name in ("AsyncHubResult", "AsyncMapResult"):
        from parallel_python.client import mapresult

        return getattr(mapresult, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
