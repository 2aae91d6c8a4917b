"""When a `KeyboardInterrupt` may be raised in the main thread, and when not.

**Invariant**: the handler of SIGINT is Python's own only while user code runs; in between it is ignored, as
in ipykernel, and where locks are taken it is `held`. The reader thread of the link sends the signal only
while armed. In other threads than the main one there are no signals, and all of this does nothing.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from _parallel_python import Link


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
        signal.signal(signal.SIGINT, signal.default_int_handler)
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


@contextmanager
def held() -> Iterator[None]:
    """Raise an interrupt that comes within the body at its end: for code that takes locks.

    Python may raise between taking a lock and the `with` that gives it back; then nobody ever has it again.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        # Nothing is raised here, or what the user's own handler does is the user's.
        yield
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda signum, _: came.append(signum))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if came:
        raise KeyboardInterrupt
