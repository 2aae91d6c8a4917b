"""Forgetting what engines gave: what a client keeps, and the kernel's records."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from typing import TYPE_CHECKING, Any

from parallel_python.client.asyncresult import AsyncResult
from parallel_python.client.part import split_id
from parallel_python.client.records import listed

if TYPE_CHECKING:
    from parallel_python.client.cache import Cache
    from parallel_python.client.link import Conversation


class Purging:
    """A part of `parallel_python.client.client.Client`."""

    _conversation: Conversation
    _history: list[str]
    _outstanding: set[str]
    _results: Cache
    _metadata: Cache

    def purge_local_results(self, jobs: Any = (), targets: Any = ()) -> None:
        """Forget values that this client keeps.

        Parameters
        ----------
        jobs : int, str, AsyncResult, list of them, or 'all'
            Of which tasks: numbers in the history, ids, results.
        targets : int, list of int, or 'all'
            Of all tasks of which engines.

        Raises
        ------
        ValueError
            When neither is said, or nothing in either.
        RuntimeError
            When some of them are not done.
        """
        for msg_id in self._to_purge(jobs, targets):
            for cache in (self._results, self._metadata):
                cache.drop(msg_id)

    def purge_hub_results(self, jobs: Any = (), targets: Any = ()) -> None:
        """Have the kernel forget records and values; arguments as `purge_local_results`."""
        self._check_open()
        ids = self._to_purge(jobs, targets, everywhere=True)
        self._conversation.link.forget(sorted(set(ids)), "records")

    def purge_results(self, jobs: Any = (), targets: Any = ()) -> None:
        """Forget records and values, here and in the kernel; arguments as `purge_local_results`."""
        self._check_open()
        self.purge_local_results(jobs, targets)
        self.purge_hub_results(jobs, targets)

    def purge_everything(self) -> None:
        """Forget all records and values, here and in the kernel, and the history."""
        self.purge_results("all")
        self._history.clear()

    def _to_purge(self, jobs: Any, targets: Any, everywhere: bool = False) -> list[str]:
        if _is_nothing(jobs) and _is_nothing(targets):
            raise ValueError("Must specify at least one of `targets` and `jobs`")
        known = self.hub_history() if everywhere else [*self._metadata]
        if isinstance(jobs, str) and jobs == "all":
            ids = known
        else:
            ids = [msg_id for one in listed(() if jobs is None else jobs) for msg_id in self._ids_of(one)]
        if not _is_nothing(targets):
            chosen = set(self._targets(targets))
            ids = ids + [msg_id for msg_id in known if split_id(msg_id)[1] in chosen]
        pending = sorted(self._outstanding.intersection(ids))
        if pending:
            raise RuntimeError(f"Can't purge outstanding tasks: {pending}")
        return ids

    if TYPE_CHECKING:

        def _check_open(self) -> None: ...
        def _targets(self, targets: Any) -> list[int]: ...
        def _ids_of(self, one: Any) -> Sequence[str]: ...
        def hub_history(self) -> list[str]:
            """Return the ids of all tasks."""


def _is_nothing(said: Any) -> bool:
    """Tell whether an argument names nothing; the number 0 and a result without values name something."""
    if isinstance(said, AsyncResult | str):
        return False
    return said is None or (isinstance(said, Sized) and len(said) == 0)
