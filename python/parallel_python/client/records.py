"""What has been asked of the engines, by this client and by others, and how it went.

The kernel keeps the records; a client that has gone, or has forgotten a result, does not take it along.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from parallel_python.client import entries
from parallel_python.client import query as queries
from parallel_python.client.asyncresult import AsyncResult
from parallel_python.client.mapresult import AsyncHubResult
from parallel_python.client.part import Part
from parallel_python.client.targets import is_one
from parallel_python.client.task import Task

if TYPE_CHECKING:
    from parallel_python.client.cache import Cache
    from parallel_python.client.link import Conversation

Record = entries.Record


class Records:
    """A part of `parallel_python.client.client.Client`."""

    block: bool
    _conversation: Conversation
    _history: list[str]
    _outstanding: set[str]
    _results: Cache
    _metadata: Cache

    def get_result(
        self, indices_or_msg_ids: Any = None, block: bool | None = None, owner: bool = True
    ) -> Any:
        """Return the result of tasks, also of those that another client submitted.

        Parameters
        ----------
        indices_or_msg_ids : int, str, AsyncResult, or list of them, optional
            Numbers in the history, or ids; None: the last one.
        block : bool, optional
            Whether to wait until they are done.
        owner : bool
            Whether this client forgets the values when the result has them. If not, `results` has them.

        Returns
        -------
        AsyncResult
            Also where it blocks. Of tasks that this client has neither submitted nor keeps, or has forgotten:
            an `AsyncHubResult`.

        Raises
        ------
        KeyError
            When nobody knows such a task.
        """
        wanted = -1 if indices_or_msg_ids is None else indices_or_msg_ids
        single = isinstance(wanted, int | str)
        ids = [msg_id for one in ([wanted] if single else listed(wanted)) for msg_id in self._ids_of(one)]
        known = self._are_mine(ids) and all(self._known_part(msg_id) is not None for msg_id in ids)
        children: Any = self._parts_of(ids)
        single = single or (isinstance(wanted, AsyncResult) and wanted._single_result)
        kind = AsyncResult if known else AsyncHubResult
        fname = wanted._fname if isinstance(wanted, AsyncResult) else "get_result"
        result = kind(self, children[0] if single and len(children) == 1 else children, fname, owner=owner)  # type: ignore[arg-type]
        if not owner:
            for part in result._parts:
                self._results.keep(part)
                self._metadata.keep(part)
        if self.block if block is None else block:
            result.wait()
        return result

    def _are_mine(self, ids: list[str]) -> bool:
        """Tell whether this client has submitted tasks: all clients of a process know each other's."""
        # Most are found where there are few to look through.
        rest = {one for one in ids if one not in self._outstanding and one not in self._metadata}
        return not rest or rest.issubset(self._history)

    def _ids_of(self, one: Any) -> Sequence[str]:
        if isinstance(one, int):
            return [self._history[one]]
        if isinstance(one, str):
            return [one]
        if isinstance(one, AsyncResult):
            return one.msg_ids
        raise TypeError(f"indices must be ints, ids or results, not {type(one)!r}")

    def _recall(self, names: list[str]) -> list[Part]:
        """Have the kernel tell of tasks from the beginning, and return the parts of those that it knows.

        What had ended by then is done when this returns: a cell that waited has all its output.
        """
        self._check_open()
        parts: list[Part] = []
        ended: list[Part] = []

        def adopt(records: list[Record] | None) -> None:
            # In the link's thread: what is told of them comes right behind the answer.
            for record in records or ():
                task = _task_of(record, self._conversation.engines.uuid_of)
                parts.extend(task)
                ended.extend(part for part in task if _has_ended(record, part))
                self._conversation.adopt(task)

        self._conversation.recall(names, adopt).result()
        for part in ended:
            part.wait()
        return parts

    def _records(self) -> list[Record]:
        self._check_open()
        found: list[Record] = self._conversation.ask("query", "records", []).result()
        return found

    def queue_status(self, targets: Any = "all", verbose: bool = False) -> dict[Any, Any]:
        """Return what engines have before them and behind them.

        Parameters
        ----------
        targets : optional
            Which engines; an int returns what is of that one.
        verbose : bool
            Return tasks' names in place of numbers.
        """
        chosen = self._targets(targets)
        answer = self._conversation.ask("query", "queues", []).result()
        count = (lambda names: names) if verbose else len
        engines = {
            engine: {key: count(names) for key, names in answer["engines"].get(str(engine), _NOTHING).items()}
            for engine in chosen
        }
        if is_one(targets):
            return engines[chosen[0]]
        return {"unassigned": answer["unassigned"], **engines}

    def result_status(self, msg_ids: Any, status_only: bool = True) -> dict[str, Any]:
        """Return which tasks are done, and their values unless `status_only`."""
        ids = [msg_id for one in listed(msg_ids) for msg_id in self._ids_of(one)]
        parts = self._parts_of(ids)
        found: dict[str, Any] = {
            "pending": [part.msg_id for part in parts if not part.done],
            "completed": [part.msg_id for part in parts if part.done],
        }
        if not status_only:
            found |= {
                part.msg_id: part.value() if part.error is None else part.error for part in parts if part.done
            }
        return found

    def hub_history(self) -> list[str]:
        """Return the ids of all clients' tasks, in order."""
        return [record["msg_id"] for record in self._entries()]

    def db_query(self, query: Mapping[str, Any], keys: Iterable[str] | None = None) -> list[Record]:
        """Return the records of tasks that match.

        Parameters
        ----------
        query : dict
            Values by key, or tests: ``{'completed': {'$ne': None}}``; the tests are ``$eq $ne $lt $lte $gt
            $gte $in $nin $glob``. Times without a zone are of the local one.
        keys : list of str, optional
            Which keys the records have; ``msg_id`` is always among them. None: all of
            `parallel_python.client.entries.KEYS`; those of `FETCHED`, ``stdout`` and its like, where named.

        Raises
        ------
        ValueError
            When there is no such key or no such test.
        """
        wanted = None if keys is None else {"msg_id", *([keys] if isinstance(keys, str) else keys)}
        entries.check([*query, *(wanted or ())])
        later = {key: test for key, test in query.items() if key in entries.FETCHED}
        first = {key: test for key, test in query.items() if key not in later}
        found = [record for record in self._entries() if queries.matches(record, first)]
        if fetched := [key for key in entries.FETCHED if key in later or key in (wanted or ())]:
            self._fetch(found, fetched)
        return [
            {key: value for key, value in record.items() if wanted is None or key in wanted}
            for record in found
            if queries.matches(record, later)
        ]

    def _fetch(self, records: list[Record], keys: list[str]) -> None:
        """Add what tasks showed and raised to their records."""
        for record, part in zip(records, self._parts_of([one["msg_id"] for one in records]), strict=True):
            if record["status"] in entries.ENDED:
                part.wait()
            record.update({key: part.metadata[key] for key in keys})

    def _entries(self) -> list[Record]:
        """Return one record for each part of each task."""
        return [
            entries.flat(record, rank)
            for record in self._records()
            for rank in ([None] if record["targets"] is None else map(str, record["targets"]))
        ]

    if TYPE_CHECKING:

        def _check_open(self) -> None: ...
        def _targets(self, targets: Any) -> list[int]: ...
        def _parts_of(self, children: Any) -> list[Part]: ...
        def _known_part(self, msg_id: str) -> Part | None: ...


_NOTHING: dict[str, list[str]] = {"queue": [], "completed": [], "tasks": []}


def listed(one: Any) -> Any:
    """Return what was given as a list: one task, or several."""
    return [one] if isinstance(one, int | str | AsyncResult) else list(one)


def _has_ended(record: Record, part: Part) -> bool:
    """Tell from a task's record whether that part will be told to its end, whatever the others do."""
    if part.task.balanced or record["over"]:
        return bool(record["over"])  # One that failed may be tried again elsewhere.
    return entries.flat(record, str(part.rank))["status"] in entries.ENDED


def _task_of(record: Record, uuid_of: Any) -> Task:
    """Return a task as its record describes it, without what it gave."""
    task = Task(record.get("label"), record["method"], record["targets"], uuid_of)
    task.rename(record["name"])
    task.submitted = record["submitted"]
    task.code = record.get("code")
    return task
