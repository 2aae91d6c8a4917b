"""Where an interrupt would keep a lock for ever, as between taking it and the `with` that gives it back.

Python may raise `KeyboardInterrupt` after any call. In a lock of C's there is no step between; in
`threading.Condition`, on which events and futures are built, there is. What the main thread keeps so, the
threads that complete results and that write history wait for without end, and with them every call that
follows. **Invariant**: code that is named here is over in a moment or waits in `Condition.wait`, where an
interrupt may come.
"""

from __future__ import annotations

import threading
from types import CodeType, FrameType, FunctionType

#: Modules whose locks other threads need, or whose own work must be whole.
SHARED = frozenset(
    {
        "IPython.core.history",
        "concurrent.futures._base",
        "parallel_python.client.asyncresult",
        "parallel_python.client.batches",
        "parallel_python.client.cache",
        "parallel_python.client.engines",
        "parallel_python.client.link",
        "parallel_python.client.part",
        "parallel_python.client.sent",
        "parallel_python.client.task",
        "parallel_python.client.tasks",
        "parallel_python.view.feed",
    }
)

#: What must be whole with all that it calls.
WHOLE = "parallel_python.client.bars"

#: What of the standard library works for those who call it.
HELPERS = frozenset({"weakref", "_weakrefset"})

_PRIMITIVES: frozenset[CodeType] = frozenset(
    function.__code__
    for kind in (threading.Condition, threading.Event)
    for function in vars(kind).values()
    if isinstance(function, FunctionType)
)


def keeps_locks(frame: FrameType | None) -> bool:
    """Whether an exception that is raised in a frame may leave something locked that others need.

    Parameters
    ----------
    frame : FrameType or None
        The innermost frame of the main thread.
    """
    while frame is not None and (frame.f_code in _PRIMITIVES or _module(frame) in HELPERS):
        # From here on it waits without its lock, and has it again whatever is raised.
        if frame.f_code is threading.Condition.wait.__code__ and "gotit" in frame.f_locals:
            return False
        frame = frame.f_back
    return frame is not None and (_module(frame) in SHARED or _is_within(frame, WHOLE))


def _is_within(frame: FrameType | None, module: str) -> bool:
    while frame is not None and _module(frame) != module:
        frame = frame.f_back
    return frame is not None


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))
