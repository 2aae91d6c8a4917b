"""What a client does to engines and tasks: take back, clear, signal, stop."""

from __future__ import annotations

import errno
import signal
from collections.abc import Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NoReturn

from parallel_python.client.asyncresult import AsyncResult
from parallel_python.client.part import split_id
from parallel_python.engine import operations

if TYPE_CHECKING:
    from parallel_python.client.link import Conversation


def signal_number(sig: int | str) -> int:
    """Return the number of a signal that is given by its number or its name, as ``'SIGINT'`` or ``'9'``.

    Raises
    ------
    KeyError
        When there is no signal of that name.
    OSError
        When there is none of that number; 0 only asks whether a process is there.
    """
    number = signal.Signals[sig].value if isinstance(sig, str) and not sig.isdecimal() else int(sig)
    if not 0 <= number < signal.NSIG:
        raise OSError(errno.EINVAL, f"there is no signal {sig!r}: they are 1 to {signal.NSIG - 1}")
    return number


class Control:
    """A part of `parallel_python.client.client.Client`."""

    block: bool
    _conversation: Conversation
    _outstanding: set[str]

    def clear(self, targets: Any = None, block: bool | None = None) -> Any:
        """Empty the namespaces of engines.

        Returns
        -------
        None, or AsyncResult
            What to wait for, unless it blocks.
        """
        chosen = self._targets(targets)
        parts = self._apply(chosen, operations.clear, (), {})
        result = AsyncResult(self, parts, "clear", chosen, owner=True)  # type: ignore[arg-type]
        return self._finish(result, block)

    def abort(self, jobs: Any = None, targets: Any = None, block: bool | None = None) -> Any:
        """Take back tasks that have not begun; those that run go on.

        Parameters
        ----------
        jobs : str, AsyncResult, or list of them, optional
            None: all that are not done.
        targets : optional
            Only what is meant for these engines.
        block : bool, optional
            Whether to wait until it is decided.
        """
        self._check_open()
        ids = self._ids(jobs)
        if targets is not None:
            chosen = set(self._targets(targets))
            ids = [msg_id for msg_id in ids if split_id(msg_id)[1] in chosen]
        meant = self._conversation.meant(ids)
        return self._finish(self._conversation.ask("abort", meant), block)

    def _ids(self, jobs: Any) -> list[str]:
        if jobs is None:
            return sorted(self._outstanding)
        if isinstance(jobs, str | AsyncResult) or not isinstance(jobs, Iterable):
            jobs = [jobs]
        ids: list[str] = []
        for job in jobs:
            if isinstance(job, str):
                ids.append(job)
            elif isinstance(job, AsyncResult):
                ids.extend(job.msg_ids)
            else:
                raise TypeError(f"Invalid msg_id type {job!r}, expected str or AsyncResult")
        return ids

    def send_signal(self, sig: int | str, targets: Any = None, block: bool | None = None) -> Any:
        """Send a signal to engines' processes.

        Parameters
        ----------
        sig : int or str
            Its number or its name, as ``'SIGINT'``.
        targets : optional
            Which engines; None: all.
        block : bool, optional
            Whether to wait until it has been sent.
        """
        answer = self._conversation.ask("signal", self._targets(targets), signal_number(sig))
        return self._finish(answer, block)

    def shutdown(
        self, targets: Any = "all", restart: bool = False, hub: bool = False, block: bool | None = None
    ) -> Any:
        """Stop the engines.

        Parameters
        ----------
        targets : optional
            All of them: the engines are one MPI world, of which no single one can leave.
        restart : bool
            Start new ones in their place.
        hub : bool
            Close this client too.
        block : bool, optional
            Whether to wait until they have stopped.
        """
        from parallel_python.client.errors import NoEnginesRegistered

        try:
            every = self._targets("all")
            chosen = self._targets(targets)
        except NoEnginesRegistered:
            every = chosen = []
        if set(chosen) != set(every):
            raise NotImplementedError(
                f"engines {chosen} cannot be stopped alone: they are one MPI world with {every}."
                " `client.shutdown()` stops all, `client.send_signal('SIGKILL', targets)` ends some for good"
            )
        answer = self._conversation.ask("engines", "restart" if restart else "stop", None)
        found = self._finish(answer, True if hub else block)
        if hub:
            self.close()
        return found

    def become_dask(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: the engines' processes are MPI's.

        Raises
        ------
        NotImplementedError
            With what to use.
        """
        raise NotImplementedError(
            "engines do not become dask workers: dask.distributed's LocalCluster starts some of its own,"
            " and load_balanced_view().register_joblib_backend() has joblib use the engines"
        )

    become_distributed = stop_dask = stop_distributed = become_dask

    def _finish(self, future: Future[Any], block: bool | None) -> Any:
        """Wait for a future, and return nothing; or return it."""
        if self.block if block is None else block:
            future.result()
            return None
        return future

    if TYPE_CHECKING:
        # What the whole client has.
        def _check_open(self) -> None: ...
        def _targets(self, targets: Any) -> list[int]: ...
        def _apply(
            self, targets: list[int], function: Any, args: Any, kwargs: Any, label: Any = None
        ) -> Any: ...
        def close(self, linger: float | None = None) -> None:
            """End it."""
