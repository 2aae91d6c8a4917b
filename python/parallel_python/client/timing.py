"""How long tasks took, and how far they are."""

from __future__ import annotations

import builtins
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from parallel_python.client.part import Part

Moments = datetime | Iterable[datetime]


class Timing:
    """What an `AsyncResult` says of its tasks' times; all of them in seconds."""

    _parts: list[Part]

    @property
    def progress(self) -> int:
        """How many tasks are done."""
        return sum(part.done for part in self._parts)

    @property
    def elapsed(self) -> float:
        """The time since it was submitted, until it was done."""
        if not self._parts:
            return 0.0
        began = min(part.task.submitted for part in self._parts)
        if not self._all_done():
            return time.time() - began
        return max(part.received for part in self._parts if part.received) - began

    @property
    def serial_time(self) -> float:
        """The time that the tasks took on their engines, all together."""
        self._must_be_done()
        return sum(self._seconds(part) for part in self._parts)

    @staticmethod
    def _seconds(part: Part) -> float:
        if part.times is None:
            return 0.0
        started, completed = part.times
        return completed - started

    @property
    def wall_time(self) -> float:
        """The time from the first submission to the last receipt."""
        self._must_be_done()
        return self.elapsed

    def _all_done(self) -> bool:
        """Tell whether all tasks are done: they go on where the result was cancelled."""
        return all(part.done for part in self._parts)

    def _must_be_done(self) -> None:
        if not self._all_done():
            raise builtins.TimeoutError("result not ready")

    def timedelta(
        self,
        start: Moments,
        end: Moments,
        start_key: Callable[[Any], datetime] = min,
        end_key: Callable[[Any], datetime] = max,
    ) -> float:
        """Return the time between two times of the tasks.

        Parameters
        ----------
        start, end : datetime or list of datetime
            As ``ar.submitted``, ``ar.started``, ``ar.completed`` and ``ar.received`` give them.
        start_key, end_key : callable
            Which one of a list counts.
        """
        first = start if isinstance(start, datetime) else start_key(start)
        last = end if isinstance(end, datetime) else end_key(end)
        return (last - first).total_seconds()
