"""How one waits for an `AsyncResult`: as for a future, with a bar, in a coroutine; how one gives it up."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Generator
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION, Future
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parallel_python.client.asyncresult import AsyncResult
    from parallel_python.client.client import Client
    from parallel_python.client.clientlink import Bell


def no_limit(timeout: float | None) -> float | None:
    """Return a timeout as `threading` takes it: here -1 and None mean for ever."""
    return None if timeout is None or timeout < 0 else timeout


class Waitable(Future[Any]):
    """A part of `parallel_python.client.asyncresult.AsyncResult`."""

    _client: Client
    _fname: str
    #: What threads sleep on that wait for it.
    _bells: tuple[Bell, ...] = ()

    def _before_waiting(self) -> None:
        """Raise where waiting would never end: in the thread that completes results."""
        if not self.done():
            self._client._conversation.refuse_to_wait()

    def wait(self, timeout: float | None = -1, return_when: str | None = None) -> Any:
        """Wait until it is done, which it also is when it was cancelled.

        Returns
        -------
        bool, or (set, set) of AsyncResult
            Whether it is done; with `return_when` (as `concurrent.futures.wait` has it) which parts are
            done and which are not.
        """
        if return_when not in (None, ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION):
            raise ValueError(
                f"return_when must be ALL_COMPLETED, FIRST_COMPLETED or FIRST_EXCEPTION, not {return_when!r}"
            )
        limit = no_limit(timeout)
        if return_when is not None:
            if limit != 0:
                self._before_waiting()
            done, pending = concurrent.futures.wait(self.split(), limit, return_when)
            return done, pending
        if self.done():
            return True
        if limit == 0:
            return False
        self._client._conversation.refuse_to_wait()
        bell, rung = self._client._conversation.link.bell(), False
        if not self._ring_when_done(bell):
            return True
        try:
            rung = bell.wait(limit)
        finally:
            if not rung:
                # It is a descriptor: who polls a thousand results must not leave a thousand behind.
                self._ring_no_more(bell)
        return rung

    def _invoke_callbacks(self) -> None:
        """Wake those who wait; called when it is done, or was cancelled."""
        conversation = self._client._conversation
        bells, self._bells = self._bells, ()
        for bell in bells:
            conversation.ring(bell)
        if self._done_callbacks:  # type: ignore[attr-defined]
            # They may take their time, and may wait for those.
            conversation.ring_now()
        super()._invoke_callbacks()  # type: ignore[misc]

    def wait_for_output(self, timeout: float | None = -1) -> bool:
        """Wait until everything that was printed and shown is here; it comes before the value."""
        done: bool = self.wait(timeout)
        return done

    def wait_interactive(
        self,
        interval: float = 0.1,
        timeout: float = -1,
        widget: bool | None = None,
        return_when: str = ALL_COMPLETED,
    ) -> None:
        """Wait with a bar that shows how many tasks are done, of a map how many items.

        Parameters
        ----------
        interval : float
            Seconds between two drawings of the bar, at least.
        timeout : float
            Seconds to wait at most; negative: no limit.
        widget : bool, optional
            Draw it as a widget; None: where that is possible.
        return_when : {'ALL_COMPLETED', 'FIRST_EXCEPTION', 'FIRST_COMPLETED'}
            What to wait for.
        """
        from parallel_python.client.progress import wait_with_bar

        self._before_waiting()
        wait_with_bar(
            self.split(),
            len(self),
            lambda: self.progress,
            self._fname,
            interval,
            timeout,
            widget,
            return_when,
        )

    def ready(self) -> bool:
        """Tell whether it is done."""
        return self.done()

    def successful(self) -> bool:
        """Tell whether it is done without an exception; one that was cancelled is not.

        Exceptions that take the place of several values are values; of a single one it is still a failure.

        Raises
        ------
        RuntimeError
            When it is not done.
        """
        if not self.done():
            raise RuntimeError("Cannot check successful() if not done.")
        return not self.cancelled() and not self._has_failed()

    @property
    def sent(self) -> bool:
        """Whether arguments may be changed without changing what engines get: as soon as the call has
        returned.
        """
        return True

    def wait_for_send(self, timeout: float = -1) -> bool:
        """Wait until arguments may be changed: they may."""
        return True

    def abort(self) -> None:
        """Take back what has not begun.

        Raises
        ------
        RuntimeError
            When it is done.
        """
        if self.done():
            raise RuntimeError("Can't abort, I am already done!")
        self._client.abort(self, block=True)

    def __await__(self) -> Generator[Any, None, Any]:
        return asyncio.wrap_future(self).__await__()

    if TYPE_CHECKING:

        def __len__(self) -> int: ...

        @property
        def progress(self) -> int:
            """How many are done."""

        def split(self) -> tuple[AsyncResult, ...]:
            """Return one result for each task."""

        def _has_failed(self) -> bool: ...

        def _ring_when_done(self, bell: Bell) -> bool: ...

        def _ring_no_more(self, bell: Bell) -> None: ...
