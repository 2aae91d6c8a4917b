"""When an interrupt raises `KeyboardInterrupt`, or calls a cell's own handler: in user code, nowhere else.

Rust sends SIGINT only while the task that was meant runs. Of that time IPython spends a little on itself,
before and after the cell's code, where an exception would be swallowed by a callback's error message or leave
a cell half counted. An interrupt that comes there is kept, and raised when the cell's code begins. One that
comes within a finalizer comes again.
"""

from __future__ import annotations

import signal

# What `signal` wraps: to make an enum's member of each argument would take a tenth of a short cell's time.
from _signal import signal as set_handler  # type: ignore[import-not-found]
from typing import TYPE_CHECKING, Any

from IPython.core.events import EventManager

from parallel_python import dropped

if TYPE_CHECKING:
    from _parallel_python import Engine

#: What a cell that was interrupted before it began runs in place of its code.
INTERRUPTED = compile("raise KeyboardInterrupt", "<interrupted>", "exec")


class Interrupts:
    """The state of SIGINT, which is the same for the whole process."""

    def __init__(self, engine: Engine) -> None:
        self._ours = self._keep
        self.begin()
        self.keep()
        dropped.watch(engine.interrupt_again)

    def begin(self) -> None:
        """Begin a task: neither an interrupt that came before nor the last one's handler is meant for it."""
        self.kept = False
        # Python's own handler and no other: asyncio and others look for it.
        self._users: Any = signal.default_int_handler

    def keep(self) -> None:
        """From here on an interrupt raises nothing; a handler of user code's comes back with `allow`."""
        handler = set_handler(signal.SIGINT, self._ours)
        if handler is not None and handler is not self._ours:
            self._users = handler

    def allow(self) -> bool:
        """From here on an interrupt raises `KeyboardInterrupt`, or does what user code wants; whether one was
        kept.
        """
        set_handler(signal.SIGINT, self._users)
        kept, self.kept = self.kept, False
        return kept

    def _keep(self, signum: int, frame: object) -> None:
        self.kept = True


class InterruptibleEvents(EventManager):
    """IPython's events, of which those after a cell may take long (figures are drawn then)."""

    interrupts: Interrupts

    def trigger(self, event: str, *args: object, **kwargs: object) -> None:
        """Call what was registered for an event."""
        if not self.callbacks[event]:
            return
        if not event.startswith("post_"):
            return super().trigger(event, *args, **kwargs)
        self.interrupts.allow()
        try:
            super().trigger(event, *args, **kwargs)
        finally:
            self.interrupts.keep()
