"""Tasks that are submitted once more, as a whole or on some of their engines.

What they were is kept by this process (`parallel_python.client.sent`), not by the kernel. **Invariant**: what
is submitted again is what was asked for and no more: a part of a task runs on its engine alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from parallel_python.client.errors import RemoteError
from parallel_python.client.mapresult import AsyncHubResult
from parallel_python.client.part import Part, split_id
from parallel_python.client.records import listed
from parallel_python.client.task import Task

if TYPE_CHECKING:
    from parallel_python.client.batches import Work
    from parallel_python.client.link import Conversation
    from parallel_python.client.sent import Again


class NotSubmittable(RemoteError, KeyError):
    """A task that cannot be submitted again; ipyparallel's hub says so by a `RemoteError`."""


class Resubmitting:
    """A part of `parallel_python.client.client.Client`."""

    block: bool
    _conversation: Conversation

    def resubmit(
        self, indices_or_msg_ids: Any = None, metadata: Any = None, block: bool | None = None
    ) -> Any:
        """Submit tasks once more, as they were.

        Parameters
        ----------
        indices_or_msg_ids : int, str, AsyncResult, or list of them, optional
            Numbers in the history, or ids; None: the last one.
        metadata : optional
            Accepted: placement is as it was.
        block : bool, optional
            Whether to wait until they are done.

        Returns
        -------
        AsyncHubResult
            Always of a list, a task for each id in their order. Also where it blocks.

        Raises
        ------
        NotSubmittable
            When this process has not submitted it, or has forgotten what it was.
        """
        wanted = -1 if indices_or_msg_ids is None else indices_or_msg_ids
        ids = [msg_id for one in listed(wanted) for msg_id in self._ids_of(one)]
        meant = [part for msg_id in ids for part in self._sent(msg_id)]
        ranks: dict[str, list[int | None]] = {}
        for name, rank in dict.fromkeys(meant):
            ranks.setdefault(name, []).append(rank)
        works = {name: self._again(name, some) for name, some in ranks.items()}
        # Now: a task that has ended holds its parts no longer.
        parts = {(name, split_id(part.msg_id)[1]): part for name, (task, _) in works.items() for part in task}
        self._submit(works.values())
        result = AsyncHubResult(self, [parts[one] for one in meant], "resubmit", owner=True)  # type: ignore[arg-type]
        if self.block if block is None else block:
            result.wait()
        return result

    def _sent(self, msg_id: str) -> list[tuple[str, int | None]]:
        """Return a task's name with each engine that is meant by an id: one, or for a task's name all."""
        name, rank = split_id(msg_id)
        placement = self._kept(msg_id).submission[2]
        there = [None] if isinstance(placement, tuple) else placement
        if rank is None:
            return [(name, one) for one in there]
        if rank not in there:
            raise _refusal(msg_id)
        return [(name, rank)]

    def _kept(self, msg_id: str) -> Again:
        found = self._conversation.sent.get(split_id(msg_id)[0])
        if found is None:
            raise _refusal(msg_id)
        return found

    def _again(self, name: str, ranks: list[int | None]) -> Work:
        """Return what was submitted under a name as new work for some of its engines."""
        (_, label, placement, work), file = self._kept(name)
        balanced = isinstance(placement, tuple)
        chosen: Any = None if balanced else ranks
        task = Task(None, work[0], chosen, self._conversation.engines.uuid_of)
        task.file = file
        if work[0] == "execute":
            task.code = work[1]
        return task, (task.name, label, placement if balanced else chosen, work)

    if TYPE_CHECKING:

        def _ids_of(self, one: Any) -> Sequence[str]: ...
        def _submit(self, works: Iterable[Work]) -> list[Part]: ...


def _refusal(msg_id: str) -> NotSubmittable:
    why = (
        f"task {msg_id!r} cannot be submitted again: only what this process has sent can, unless its"
        " arguments were large or it was long ago"
    )
    return NotSubmittable("KeyError", why, "")
