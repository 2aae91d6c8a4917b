"""A client's own tasks: how they are submitted for its views, which they were, and what is kept of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from parallel_python.client import cache, submission
from parallel_python.client.cache import Cache
from parallel_python.client.part import Part, split_id
from parallel_python.client.task import Task

if TYPE_CHECKING:
    from parallel_python.client.asyncresult import AsyncResult
    from parallel_python.client.batches import Work
    from parallel_python.client.clientlink import Submission
    from parallel_python.client.link import Conversation


def _rounds(targets: list[int]) -> list[list[int]]:
    """Divide engines, some of which may be named several times, so that none is twice in a round."""
    if len(set(targets)) == len(targets):
        return [targets]
    rounds: list[list[int]] = [[]]
    for target in targets:
        free = next((ranks for ranks in rounds if target not in ranks), None)
        if free is None:
            rounds.append([target])
        else:
            free.append(target)
    return rounds


class Tasks:
    """A part of `parallel_python.client.client.Client`."""

    _conversation: Conversation

    def __init__(self) -> None:
        self._history: list[str] = []
        self._outstanding: set[str] = set()
        self._results = cache.results()
        self._metadata = cache.metadata()

    def _new_task(self, method: str, ranks: Sequence[int] | None, label: str | None) -> Task:
        return Task(label, method, ranks, self._conversation.engines.uuid_of)

    def _submit(self, works: Iterable[Work]) -> list[Part]:
        """Submit, the first while the rest is made; the parts in order."""
        self._check_open()
        parts: list[Part] = []
        try:
            self._conversation.submit(self._noted(works, parts))
        except BaseException:
            self._undo(parts)
            raise
        return parts

    def _noted(self, works: Iterable[Work], parts: list[Part]) -> Iterator[Work]:
        """Give work on that is this client's from now on."""
        watchers = (self._note_done,)
        for work in works:
            for part in work[0]:
                parts.append(part)
                self._history.append(part.msg_id)
                self._outstanding.add(part.msg_id)
                self._results.keep(part)
                self._metadata.keep(part)
                part.watchers = watchers
            yield work

    def _undo(self, parts: Sequence[Part]) -> None:
        """Forget tasks that were not submitted after all."""
        ids = {part.msg_id for part in parts}
        self._history[:] = [msg_id for msg_id in self._history if msg_id not in ids]
        self._outstanding -= ids
        self._forget_parts(parts)

    def _apply(
        self,
        targets: list[int],
        function: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        label: str | None = None,
    ) -> list[Part]:
        """Make a call on each of several engines."""

        def call(task: Task, ranks: list[int]) -> Submission:
            return submission.apply(task, ranks, function, args, kwargs)

        return self._on_each("apply", targets, label, call)

    def _on_each(
        self,
        method: str,
        targets: list[int],
        label: str | None,
        submitted: Callable[[Task, list[int]], Submission],
    ) -> list[Part]:
        """Submit a task for engines; one that is named again does it again, in a task of its own."""
        rounds = _rounds(targets)
        tasks = [self._new_task(method, ranks, label) for ranks in rounds]
        parts = self._submit(
            [(task, submitted(task, ranks)) for task, ranks in zip(tasks, rounds, strict=True)]
        )
        if len(rounds) == 1:
            return parts
        by_rank: dict[int | None, list[Part]] = {}
        for part in parts:
            by_rank.setdefault(part.rank, []).append(part)
        return [by_rank[target].pop(0) for target in targets]

    def _apply_each(
        self,
        targets: Sequence[int],
        calls: Sequence[submission.Call],
        undivided: submission.Call,
        label: str | None = None,
    ) -> list[Part]:
        """Make on each engine one of the calls in which another was divided, of which errors speak."""
        tasks = [self._new_task("apply", [target], label) for target in targets]
        return self._submit(zip(tasks, submission.apply_each(tasks, targets, calls, undivided), strict=True))

    def _map_each(
        self,
        targets: Sequence[int],
        function: Callable[..., Any],
        chunks: Sequence[Sequence[Any]],
        whole: Sequence[Any],
        label: str | None = None,
    ) -> list[Part]:
        """Call a function on each engine with the items of one of the chunks of whole sequences."""
        tasks = [self._new_task("apply", [target], label) for target in targets]
        return self._submit(
            zip(tasks, submission.map_each(tasks, targets, function, chunks, whole), strict=True)
        )

    def _execute(self, targets: list[int], code: str, silent: bool, label: str | None = None) -> list[Part]:
        """Run code on each of several engines."""

        def run(task: Task, ranks: list[int]) -> Submission:
            return submission.execute(task, ranks, code, silent=silent)

        return self._on_each("execute", targets, label, run)

    def _interrupt(self, result: AsyncResult) -> None:
        """Raise `KeyboardInterrupt` in tasks that run, and take back those that have not begun."""
        names = {split_id(part.msg_id)[0] for part in result._parts if not part.done}
        self._conversation.link.interrupt(sorted(names))

    def _note_done(self, part: Part) -> None:
        self._outstanding.discard(part.msg_id)

    def _parts_of(self, children: Iterable[Part | str]) -> list[Part]:
        """Return parts, also where they are given by id; what nobody here holds is asked of the kernel."""
        children = list(children)
        ids = [child for child in children if isinstance(child, str)]
        if not ids:
            return children  # type: ignore[return-value]
        known = {msg_id: self._known_part(msg_id) for msg_id in ids}
        missing = {split_id(msg_id)[0] for msg_id, part in known.items() if part is None}
        if missing:
            recalled = {part.msg_id: part for part in self._recall(sorted(missing))}
            known = {msg_id: part or recalled.get(msg_id) for msg_id, part in known.items()}
        return [self._there(child, known[child]) if isinstance(child, str) else child for child in children]

    def _known_part(self, msg_id: str) -> Part | None:
        name, rank = split_id(msg_id)
        task = self._conversation.find(name)
        return None if task is None else task.part(rank)

    @staticmethod
    def _there(msg_id: str, part: Part | None) -> Part:
        if part is None:
            raise KeyError(f"no task {msg_id!r} is known: its record was purged, or it never was")
        return part

    def _forget_parts(self, parts: Iterable[Part]) -> None:
        for part in parts:
            self._results.drop(part.msg_id)
            self._metadata.drop(part.msg_id)

    # What has been submitted.

    @property
    def history(self) -> list[str]:
        """The ids of all tasks of this client, in order."""
        return self._history

    @property
    def outstanding(self) -> set[str]:
        """The ids of tasks that are not done."""
        return set(self._outstanding)

    @property
    def results(self) -> Cache:
        """The values of tasks that no `AsyncResult` has taken, by id."""
        return self._results

    @property
    def metadata(self) -> Cache:
        """What is known of tasks that no `AsyncResult` has taken, by id."""
        return self._metadata

    if TYPE_CHECKING:

        def _check_open(self) -> None: ...
        def _recall(self, names: list[str]) -> list[Part]: ...
