"""When an interrupt raises `KeyboardInterrupt`: in user code, and nowhere else.

Rust sends SIGINT only while the task that was meant runs. Of that time IPython spends a little on itself,
before and after the cell's code, where an exception would be swallowed by a callback's error message or leave
a cell half counted. An interrupt that comes there is kept, and raised when the cell's code begins. One that
comes within a finalizer comes again.
"""

from __future__ import annotations

import signal

# What `signal` wraps: to make an enum's member of each argument would take a tenth of a short cell's time.
from _signal import signal as set_handler  # type: ignore[import-not-found]
from typing import TYPE_CHECKING

from IPython.core.events import EventManager

from parallel_python import dropped

if TYPE_CHECKING:
    from _parallel_python import Engine

#: What a cell that was interrupted before it began runs in place of its code.
INTERRUPTED = compile("raise KeyboardInterrupt", "<interrupted>", "exec")


class Interrupts:
    """The state of SIGINT, which is the same for the whole process."""

    def __init__(self, engine: Engine) -> None:
        self.kept = False
        self.keep()
        dropped.watch(engine.interrupt_again)

    def keep(self) -> None:
        """From here on an interrupt raises nothing."""
        set_handler(signal.SIGINT, self._keep)

    def allow(self) -> bool:
        """From here on an interrupt raises `KeyboardInterrupt`; whether one was kept."""
        # Python's own handler and no other: asyncio and others look for it.
        set_handler(signal.SIGINT, signal.default_int_handler)
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
