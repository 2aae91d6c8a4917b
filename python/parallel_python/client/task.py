"""`Task`: what is submitted under one name, and its parts, one for each engine."""

from __future__ import annotations

import itertools
import os
import time
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from parallel_python import bulk
from parallel_python.client.part import Hold, Part

_NONE: Mapping[int | None, weakref.ref[Part]] = MappingProxyType({})

_session = uuid.uuid4().hex
_numbers = itertools.count()


def _begin_anew() -> None:
    """Give a forked process names of its own."""
    global _session
    _session = uuid.uuid4().hex


os.register_at_fork(after_in_child=_begin_anew)


def new_name() -> str:
    """Return a name that no other task has, in any process."""
    return f"{_session}_{next(_numbers)}"


class Task:
    """What is submitted under one name.

    Parameters
    ----------
    label : str
        What it is, for people.
    method : {'apply', 'execute'}
        The kind of work.
    ranks : sequence of int or None
        On which engines; None: on one that the kernel chooses.
    uuid_of : callable
        Returns an engine's uuid.
    """

    def __init__(
        self,
        label: str | None,
        method: str,
        ranks: Sequence[int] | None,
        uuid_of: Callable[[int], str | None],
    ) -> None:
        self.name = new_name()
        self.label = label
        self.method = method
        #: When it was submitted, in seconds since 1970.
        self.submitted = time.time()
        self.uuid_of = uuid_of
        self.code: str | None = None
        self.after: list[str] = []
        self.follow: list[str] = []
        self.broadcast = self.coalescing = False
        #: Of results in memory that the kernel holds for us.
        self.hold: Hold | None = None
        #: What the submission shares, until the kernel has it.
        self.file: bulk.File = None
        self._parts: dict[int | None, Part] = (
            {None: Part(self, None)} if ranks is None else {rank: Part(self, rank) for rank in ranks}
        )
        self._released: Mapping[int | None, weakref.ref[Part]] = _NONE
        #: Whether the kernel chooses the engine.
        self.balanced = ranks is None

    def part(self, rank: int | None) -> Part | None:
        """Return the part on an engine, if anybody still holds it."""
        key = None if self.balanced else rank
        if key in self._parts:
            return self._parts[key]
        released = self._released.get(key)
        return None if released is None else released()

    @property
    def ranks(self) -> frozenset[int | None]:
        """The engines that it is for; None stands for one that the kernel chooses."""
        return frozenset(self._parts or self._released)

    def release(self) -> None:
        """Hold the parts no longer: they go when those who wait for them have gone."""
        self._released = {rank: weakref.ref(part) for rank, part in self._parts.items()}
        self._parts = {}

    def rename(self, name: str) -> None:
        """Give it the name by which the kernel knows it; for a task that somebody else submitted."""
        self.name = name
        for rank, part in self._parts.items():
            part.msg_id = name if rank is None else f"{name}@{rank}"

    def __iter__(self) -> Iterator[Part]:
        return iter(self._parts.values())
