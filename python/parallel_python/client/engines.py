"""What is known of the engines: which there are, and whether they are coming or going."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Engine(NamedTuple):
    """One engine."""

    rank: int
    host: str
    pid: int
    alive: bool

    @property
    def uuid(self) -> str:
        """What tells this process from every other."""
        return f"{self.host}-{self.pid}"


class Engines:
    """The engines as the kernel last told of them; changed by the link's thread alone."""

    def __init__(self) -> None:
        self.phase = ""
        self.reason = ""
        self.told = 0
        self.table: dict[int, Engine] = {}
        self._able: list[int] = []
        self.changed = threading.Condition()
        self.watchers: list[Callable[[], None]] = []

    def take(self, phase: str, reason: str, engines: Sequence[tuple[int, str, int, bool]]) -> None:
        """Take in what the kernel tells."""
        with self.changed:
            self.phase, self.reason = phase, reason
            self.table = {engine[0]: Engine(*engine) for engine in engines}
            # None of those that are being stopped.
            alive = [rank for rank, engine in self.table.items() if engine.alive and phase != "stopping"]
            self._able = sorted(alive)
            self.told += 1
            self.changed.notify_all()
        for watcher in list(self.watchers):
            watcher()

    def died(self, rank: int) -> None:
        """Take note that an engine is dead."""
        engine = self.table.get(rank)
        if engine is not None and engine.alive:
            table = {**self.table, rank: engine._replace(alive=False)}
            self.take(self.phase, self.reason, list(table.values()))

    def notice(self) -> None:
        """Have those who wait look again: what they wait for depends on more than the engines."""
        with self.changed:
            self.changed.notify_all()

    @property
    def ids(self) -> list[int]:
        """The engines that can work, in order."""
        return list(self._able)

    @property
    def ended(self) -> str:
        """Why there are none, and will be none unless somebody starts them; empty where that is not so."""
        if self.phase not in ("failed", "off"):
            return ""
        return self.reason or "they were stopped, and have to be started first, by `%engines start`"

    def uuid_of(self, rank: int) -> str | None:
        """Return what tells an engine from every other."""
        engine = self.table.get(rank)
        return None if engine is None else engine.uuid

    def wait(self, holds: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until something holds that depends on the engines; whether it does."""
        until = None if timeout is None else time.monotonic() + timeout
        with self.changed:
            while not holds():
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    return False
                self.changed.wait(left)
            return True
