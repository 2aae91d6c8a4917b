"""What a client waits for: tasks, and engines."""

from __future__ import annotations

import warnings
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from parallel_python.client.waitable import no_limit

if TYPE_CHECKING:
    from parallel_python.client.link import Conversation


class Patience:
    """A part of `parallel_python.client.client.Client`."""

    _conversation: Conversation
    _history: list[str]
    _outstanding: set[str]
    cluster: Any

    def wait(self, jobs: Any = None, timeout: float = -1) -> bool:
        """Wait for tasks.

        Parameters
        ----------
        jobs : int, str, Future, or list of them, optional
            Indices into the history, ids, results; None: all that are not done.
        timeout : float
            Seconds to wait at most; negative: no limit.

        Returns
        -------
        bool
            Whether all are done.
        """
        import concurrent.futures

        self._conversation.refuse_to_wait()
        _, pending = concurrent.futures.wait(self._futures(jobs), no_limit(timeout))
        return not pending

    def wait_interactive(self, jobs: Any = None, interval: float = 1.0, timeout: float = -1.0) -> None:
        """Wait for tasks with a bar that shows how many are done, of maps how many items.

        Parameters
        ----------
        jobs : int, str, Future, or list of them, optional
            As `wait` has them.
        interval : float
            Seconds between two drawings of the bar, at least.
        timeout : float
            Seconds to wait at most; negative: no limit.
        """
        from parallel_python.client.asyncresult import AsyncResult
        from parallel_python.client.progress import wait_with_bar

        self._conversation.refuse_to_wait()
        futures = self._futures(jobs)
        results = [future for future in futures if isinstance(future, AsyncResult)]
        others = [future for future in futures if not isinstance(future, AsyncResult)]

        def progress() -> int:
            return sum(result.progress for result in results) + sum(other.done() for other in others)

        wait_with_bar(
            [*others, *(part for result in results for part in result.split())],
            len(others) + sum(map(len, results)),
            progress,
            "",
            interval,
            timeout,
        )

    def _futures(self, jobs: Any) -> list[Future[Any]]:
        if jobs is None:
            jobs = sorted(self._outstanding)
        if isinstance(jobs, int | str | Future):
            jobs = [jobs]
        jobs = [self._history[job] if isinstance(job, int) else job for job in jobs]
        # What this client has seen end needs no waiting for; the kernel may have forgotten it.
        mine = set(self._history) if any(isinstance(job, str) for job in jobs) else set()
        return [
            job if isinstance(job, Future) else self.get_result(job, block=False, owner=False)
            for job in jobs
            if isinstance(job, Future) or job in self._outstanding or job not in mine
        ]

    def wait_for_engines(
        self,
        n: int | None = None,
        *,
        timeout: float = -1,
        block: bool = True,
        interactive: bool | None = None,
        widget: bool | None = None,
    ) -> Future[None] | None:
        """Wait until there are at least `n` engines.

        Parameters
        ----------
        n : int, optional
            How many; None: as many as the client's cluster was made for, or has.
        timeout : float
            Seconds to wait at most; negative: no limit.
        block : bool
            Whether to wait here, or to return a future.
        interactive : bool, optional
            Whether to show a bar; None: when there is something to wait for.
        widget : bool, optional
            Whether the bar is a widget; None: where that is possible.

        Raises
        ------
        TypeError
            When it is not said how many.
        TimeoutError
            When there are not as many in time.
        EngineError
            When the engines are stopped or cannot start.
        """
        if n is None:
            if self.cluster is None:
                raise TypeError("n engines to wait for must be specified")
            n = int(self.cluster.n or sum(engines.n for engines in self.cluster.engines.values()) or 1)
        from parallel_python.client.waiting import show_bar, wait_for_engines

        engines = self._conversation.engines
        if block:
            self._conversation.refuse_to_wait()
        future = wait_for_engines(engines, n, no_limit(timeout))
        if not block:
            return future
        if interactive if interactive is not None else not future.done():
            show_bar(engines, n, future, widget)
        return future.result()

    def spin(self) -> None:
        """Do nothing: results come by themselves."""
        _spin("spin")

    def spin_thread(self, interval: float = 1) -> None:
        """Do nothing, as `spin`."""
        _spin("spin_thread")

    def stop_spin_thread(self) -> None:
        """Do nothing, as `spin`."""
        _spin("stop_spin_thread")

    if TYPE_CHECKING:

        def get_result(
            self, indices_or_msg_ids: Any = None, block: bool | None = None, owner: bool = True
        ) -> Any:
            """Return the result of tasks."""


def _spin(name: str) -> None:
    warnings.warn(f"`{name}` has nothing to do: results come by themselves", DeprecationWarning, stacklevel=3)
