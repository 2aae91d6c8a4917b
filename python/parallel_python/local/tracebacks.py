"""Tracebacks in the notebook as a person reads them: without the frames of this package.

What goes wrong inside a call of the client API goes wrong at the user's line; how the call works inside is
of no use there. With ``PARALLEL_PYTHON_LOG=debug`` in the environment all frames are shown.
"""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from parallel_python import _FILES

#: What `input` is of, between the user's call and us.
ABOVE_US = "ipykernel/kernelbase.py"

#: Where we wait, and what we pickle with.
BELOW_US = ("threading.py", "concurrent/futures/_base.py", "pickle.py", "queue.py", "asyncio/base_events.py")


def hide_our_frames(shell: InteractiveShell) -> None:
    """Have a shell show no frames of ours, unless all frames are."""
    if os.environ.get("PARALLEL_PYTHON_LOG") == "debug":
        return
    all_of_it = shell._get_exc_info

    def _get_exc_info(exc_tuple: Any = None) -> tuple[Any, Any, Any]:
        etype, value, trace = all_of_it(exc_tuple)  # type: ignore[no-untyped-call]
        shown = without_ours(trace)
        if shown is not trace:
            sys.last_traceback = shown
        return etype, value, shown

    shell._get_exc_info = _get_exc_info  # type: ignore[method-assign]


def without_ours(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback without our frames, the standard library's below and ipykernel's above them."""
    whole = trace
    frames: list[TracebackType] = []
    inside = False
    while trace is not None:
        file = _file(trace)
        while file.startswith(_FILES) and frames and _file(frames[-1]).endswith(ABOVE_US):
            frames.pop()
        inside = file.startswith(_FILES) or (inside and file.endswith(BELOW_US))
        if not inside:
            frames.append(trace)
        trace = trace.tb_next
    shown: TracebackType | None = None
    for frame in reversed(frames):
        # An interrupt may come at a step that no line has.
        line = frame.tb_frame.f_code.co_firstlineno if frame.tb_lineno is None else frame.tb_lineno
        shown = TracebackType(shown, frame.tb_frame, frame.tb_lasti, line)
    return whole if shown is None else shown


def _file(trace: TracebackType) -> str:
    return trace.tb_frame.f_code.co_filename
