"""`ClientLink`: what the Rust side gives a client, as `_parallel_python.ClientLink` does it.

All calls may be made by any thread and release the GIL while they block.
"""

from __future__ import annotations

from typing import Any, Protocol

Told = tuple[Any, ...]
#: Name, label, placement, work.
Submission = tuple[str, str, Any, tuple[Any, ...]]


class Bell(Protocol):
    """What `_parallel_python.Bell` does: what a thread sleeps on until something is complete."""

    def ring(self) -> None:
        """Wake those who wait, now and later."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has rung, so many seconds at most; whether it has. Signal handlers run meanwhile."""
        ...


class ClientLink(Protocol):
    """What `_parallel_python.ClientLink` does; see the Rust side for what each call means."""

    def open(self) -> None:
        """Ask to be told of the engines; start them if they are off."""
        ...

    def submit(self, submissions: list[Submission], yields: bool = False) -> None:
        """Have work done; where this yields, who passes it on goes first."""
        ...

    def recall(self, ask: int, names: list[str]) -> None:
        """Have everything told of tasks."""
        ...

    def abort(self, ask: int, names: list[str]) -> None:
        """Take back what has not begun."""
        ...

    def interrupt(self, names: list[str]) -> None:
        """Raise `KeyboardInterrupt` in tasks."""
        ...

    def signal(self, ask: int, targets: list[int], signal: int) -> None:
        """Send a signal to engines' processes."""
        ...

    def engines(self, ask: int, action: str, count: int | None) -> None:
        """Start, stop or restart them."""
        ...

    def query(self, ask: int, query: str, targets: list[int]) -> None:
        """Ask for queues, records, status or stacks."""
        ...

    def forget(self, names: list[str], what: str) -> None:
        """Let go of results."""
        ...

    def bell(self) -> Bell:
        """Make something to sleep on."""
        ...

    def next(self, bells: list[Bell]) -> list[Told] | None:
        """Ring, and wait for what is told, both without the GIL."""
        ...
