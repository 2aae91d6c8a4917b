"""Forgetting what engines gave: what a client keeps, and the kernel's records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from parallel_python.client.part import split_id
from parallel_python.client.records import listed
from parallel_python.client.targets import is_one

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
        jobs : str, AsyncResult, list of them, or 'all'
            Of which tasks.
        targets : int, list of int, or 'all'
            Of all tasks of which engines.
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
        nothing = (isinstance(jobs, list | tuple) and not jobs) and (
            isinstance(targets, list | tuple) and not targets
        )
        if nothing or (jobs is None and targets is None):
            raise ValueError("Must specify at least one of `targets` and `jobs`")
        known = self.hub_history() if everywhere else [*self._metadata]
        if jobs == "all":
            ids = known
        else:
            ids = [msg_id for one in listed(jobs or ()) for msg_id in self._ids_of(one)]
        if targets is not None and (is_one(targets) or len(targets)):
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
