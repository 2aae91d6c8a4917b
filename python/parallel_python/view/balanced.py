"""`LoadBalancedView`: each task goes to one engine, whichever is free."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from itertools import accumulate
from typing import TYPE_CHECKING, Any, ClassVar

from parallel_python.client import submission
from parallel_python.client.asyncresult import AsyncResult
from parallel_python.client.mapresult import AsyncMapResult
from parallel_python.client.part import Part
from parallel_python.client.submission import Balance, name_of
from parallel_python.view.base import View
from parallel_python.view.partition import Map, items, length

if TYPE_CHECKING:
    from parallel_python.client.batches import Work
    from parallel_python.remoting.dependency import Dependency
    from parallel_python.view.lazymap import LazyMapIterator


class LoadBalancedView(View):
    """Engines of which one does each task.

    Attributes
    ----------
    targets : list of int or None
        The engines that may be used; None: all.
    after, follow : AsyncResult, str, Dependency, or list of them, or None
        What must have ended before a task begins; with `follow`, on the same engine.
    retries : int
        How often a task that fails is tried again, each time on an engine that has not tried it.
    timeout : float or None
        Seconds until a task that could not begin fails; None or 0: no limit.
    """

    flag_names: ClassVar[frozenset[str]] = View.flag_names | {"after", "follow", "retries", "timeout"}

    def __init__(self, client: Any, targets: Any = None, **flags: Any) -> None:
        self.after: Any = None
        self.follow: Any = None
        self.retries = 0
        self.timeout: float | None = 0
        super().__init__(client, targets, **flags)

    def set_flags(self, **flags: Any) -> LoadBalancedView:
        """Set flags by name; dependencies and the timeout are checked."""
        for name in ("after", "follow"):
            if name in flags:
                _dependency(flags[name])
        if flags.get("timeout") is not None:
            _seconds(flags["timeout"])
        return super().set_flags(**flags)

    def _check_flag(self, name: str, value: Any) -> None:
        super()._check_flag(name, value)
        if name == "retries":
            _times(value)

    def _balance(self) -> Balance:
        targets = self.targets
        if isinstance(targets, Sized) and not targets:
            raise ValueError("this view has no engine: its `targets` are empty; None means all engines")
        # Raises where there are no engines, or not these.
        chosen = self.client._targets(targets)
        return Balance(
            targets=None if targets is None or targets == "all" else chosen,
            retries=_times(self.retries),
            timeout=_seconds(self.timeout) or None,
            after=self._meant(_dependency(self.after)),
            follow=self._meant(_dependency(self.follow)),
        )

    def _meant(self, wanted: Dependency | None) -> submission.Dep | None:
        """Return what a task waits for, as the kernel takes it."""
        if wanted is None:
            return None
        # All parts of a task have succeeded when it has. What one of several may do is for each by itself.
        is_whole = wanted.all and wanted.success
        names = self.client._conversation.meant(wanted) if is_whole else sorted(wanted)
        return names, wanted.all, wanted.success, wanted.failure

    def _call(
        self,
        function: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        block: bool | None = None,
    ) -> Any:
        if not callable(function) and not hasattr(function, "name"):
            raise TypeError(f"f must be callable, not {type(function)!r}")
        parts = self._submit([(function, args, kwargs or {})], self.label)
        return self._finish(AsyncResult(self.client, parts[0], name_of(function), owner=True), block)

    def _submit(self, calls: Iterable[submission.Call], label: str | None) -> list[Part]:
        """Submit calls, each of which runs on one engine."""
        calls = list(calls)
        name = f"apply({name_of(calls[0][0])})"
        return self._submit_packed((submission.pack_call(*call) for call in calls), name, label)

    def _submit_packed(self, works: Iterable[submission.Packed], name: str, label: str | None) -> list[Part]:
        """Submit pickled work, each piece of which runs on one engine."""
        placed = self._placed(works, self._balance(), label or name, label)
        return self._note(self.client._submit(placed))

    def _placed(
        self, works: Iterable[submission.Packed], balance: Balance, name: str, label: str | None
    ) -> Iterator[Work]:
        placement = tuple(balance)
        after = balance.after[0] if balance.after else []
        follow = balance.follow[0] if balance.follow else []
        for data, blobs, file in works:
            task = self.client._new_task("apply", None, label)
            task.after, task.follow, task.file = after, follow, file
            yield task, (task.name, name, placement, ("apply", data, blobs))

    def map(  # type: ignore[override]
        self,
        __f: Callable[..., Any],
        /,
        *sequences: Iterable[Any],
        block: bool | None = None,
        track: bool | None = None,
        chunksize: int | None = 1,
        ordered: bool = True,
        return_exceptions: bool = False,
        label: str | None = None,
    ) -> Any:
        """Call a function with the items of sequences, each task with `chunksize` of them.

        Parameters
        ----------
        f : callable
            The function.
        *sequences : iterable
            Its arguments; the shortest one says how many calls there are.
        block : bool, optional
            Whether to wait for the list of values.
        track : bool, optional
            Accepted: arguments may be changed as soon as this has returned.
        chunksize : int, optional
            How many calls a task makes; None and 0: one.
        ordered : bool
            Whether iterating over the result keeps the order of the arguments.
        return_exceptions : bool
            Whether a task that failed gives its exception in place of its values.
        label : str, optional
            What the tasks are called in their records.

        Returns
        -------
        list or AsyncMapResult
            The values, in order.
        """
        assert len(sequences) > 0, "must have some sequences to map onto!"
        chunksize = chunk_size(chunksize)
        whole = [items(sequence) for sequence in sequences]
        n = min(map(length, whole))
        if n == 0:
            return []
        starts = range(0, n, chunksize)
        chunks = ([_chunk(one, start, min(n, start + chunksize)) for one in whole] for start in starts)
        return self._map(
            __f,
            chunks,
            [min(chunksize, n - start) for start in starts],
            block,
            ordered,
            return_exceptions,
            label,
        )

    def _map(
        self,
        function: Callable[..., Any],
        chunks: Iterable[Sequence[Any]],
        lengths: list[int],
        block: bool | None,
        ordered: bool,
        return_exceptions: bool,
        label: str | None,
    ) -> Any:
        packed = submission.pack_function(function)
        starts = accumulate(lengths, initial=0)
        works = (
            submission.pack_chunk(packed, chunk, start) for chunk, start in zip(chunks, starts, strict=False)
        )
        parts = self._submit_packed(works, f"map({name_of(function)})", label or self.label)
        result = AsyncMapResult(
            self.client, parts, Map(), name_of(function), ordered, lengths, return_exceptions
        )
        return self._finish(result, block)

    def imap(  # type: ignore[override]
        self,
        __f: Callable[..., Any],
        /,
        *sequences: Iterable[Any],
        ordered: bool = True,
        max_outstanding: int | str = "auto",
        return_exceptions: bool = False,
    ) -> LazyMapIterator:
        """Give the values of a map as they come, reading no more of the sequences than is needed.

        Parameters
        ----------
        f : callable
            The function.
        *sequences : iterable
            Its arguments; they may be without end. They are read in a thread of the map's own.
        ordered : bool
            Whether to keep their order, or give what is there first.
        max_outstanding : int or 'auto'
            How many calls to have under way; ``'auto'``: as many as there are engines; 0: no limit.
        return_exceptions : bool
            Whether a call that failed gives its exception in place of its value.

        Returns
        -------
        LazyMapIterator
            No more calls are begun when it is cancelled, or gone.
        """
        from parallel_python.view.lazymap import lazily

        return lazily(self, __f, sequences, ordered, max_outstanding, return_exceptions)

    def register_joblib_backend(self, name: str = "ipyparallel", make_default: bool = False) -> None:
        """Make this view a backend of joblib."""
        from parallel_python.view.joblib import register

        register(name, view=self, make_default=make_default)


def _chunk(sequence: Any, start: int, stop: int) -> Any:
    return sequence.iloc[start:stop] if hasattr(sequence, "iloc") else sequence[start:stop]


def chunk_size(chunksize: int | None) -> int:
    """Return how many calls a task makes, or raise what is wrong with that."""
    if chunksize is not None and chunksize < 0:
        raise ValueError(f"chunksize must be at least 1, not {chunksize}")
    return chunksize or 1


def _times(retries: Any) -> int:
    """Return how often a task is tried again, or raise what is wrong with that."""
    try:
        times = operator.index(retries)
    except TypeError:
        raise TypeError(f"retries must be a whole number, not {retries!r}") from None
    if times < 0:
        raise ValueError(f"retries must be 0 or more, not {times}")
    return times


def _seconds(timeout: float | None) -> float:
    """Return a timeout, or raise what is wrong with it."""
    if timeout is None:
        return 0.0
    if not isinstance(timeout, int | float):
        raise TypeError(f"Invalid type for timeout: {type(timeout)}")
    if timeout < 0:
        raise ValueError(f"Invalid timeout: {timeout}")
    return float(timeout)


def _dependency(wanted: Any) -> Dependency | None:
    """Return what a task waits for, or raise what is wrong with it."""
    from parallel_python.remoting.dependency import Dependency

    if wanted is None:
        return None
    if isinstance(wanted, Dependency):
        found = wanted
    else:
        several = isinstance(wanted, list | tuple | set | frozenset)
        try:
            found = Dependency(wanted if several else [wanted])
        except (TypeError, ValueError):
            raise ValueError(f"Invalid dependency: {wanted!r}") from None
    return found or None
