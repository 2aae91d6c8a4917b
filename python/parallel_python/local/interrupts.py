"""When a `KeyboardInterrupt` may be raised in the main thread, and when not.

**Invariant**: SIGINT is handled only while user code runs; in between it is ignored, as in ipykernel. It is
handled as Python does, but where a lock would be kept by it (`locks`) it comes a little later. The reader
thread of the link sends the signal only while armed. In other threads than the main one there are no
signals, and all of this does nothing.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from _parallel_python import Link

from .locks import keeps_locks


@contextmanager
def interruptible(link: Link) -> Iterator[None]:
    """Let an interrupt raise `KeyboardInterrupt` in the body, and nowhere behind it."""
    try:
        begin(link)
        yield
    finally:
        end(link)


def begin(link: Link) -> None:
    """Let interrupts in.

    Raises
    ------
    KeyboardInterrupt
        When one has come for this request before it began.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, link.interrupt_handler(keeps_locks))
        if link.arm():
            raise KeyboardInterrupt


def end(link: Link) -> None:
    """Go back to ignoring SIGINT; one that is under way is too late."""
    while threading.current_thread() is threading.main_thread():
        try:
            link.disarm()
            # A handler that is due runs in here, before the change.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            return
        except KeyboardInterrupt:
            continue
