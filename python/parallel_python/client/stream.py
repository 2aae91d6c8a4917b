"""What engines print and display, shown while it comes.

Of several engines whole lines go out at once, each with its engine's label; the rest of a line waits for its
end. A single engine's text goes out as it comes, so that a progress bar moves. What an engine had printed
before is shown first, so nothing is lost between the call and the beginning of the stream.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

from parallel_python.client.display import show_output, show_result
from parallel_python.client.part import Part


class Streamer:
    """Shows what parts have to show, in the context of the cell that asked for it."""

    def __init__(self, *, single: bool) -> None:
        self._single = single
        self._context = copy_context()
        self._lock = threading.Lock()
        #: What has no end yet: of several engines what waits for it, of a single one what has gone out.
        self._unfinished: dict[tuple[Part, str], str] = {}
        self._ended = False

    def follow(self, part: Part) -> None:
        """Show what there is of a part, and what comes."""
        with self._lock:
            # What comes while this is shown waits for the lock.
            for kind, content in part.listen(self._listen):
                self._show(part, kind, content)

    def end(self, parts: Sequence[Part]) -> None:
        """Show no more than the lines that were left unfinished."""
        with self._lock:
            self._ended = True
            for part in parts:
                part.stop_listening(self._listen)
            self._end_lines()
        sys.stdout.flush()
        sys.stderr.flush()

    def _listen(self, part: Part, kind: str, content: Any) -> None:
        with self._lock:
            if not self._ended:
                self._context.run(self._show, part, kind, content)

    def _end_lines(self) -> None:
        for (part, stream), text in self._unfinished.items():
            if self._single:
                getattr(sys, stream).write("\n")
            else:
                self._write(part, stream, text + "\n")
        self._unfinished.clear()

    def _show(self, part: Part, kind: str, content: Any) -> None:
        if kind in ("stdout", "stderr") and self._single:
            self._pass_on(part, kind, content)
        elif kind in ("stdout", "stderr"):
            text = self._unfinished.pop((part, kind), "") + content
            lines, newline, rest = text.rpartition("\n")
            if rest:
                self._unfinished[part, kind] = rest
            if newline:
                self._write(part, kind, lines + newline)
        elif kind == "display_data":
            self._before_a_display()
            show_output(part, content, single=self._single)
        elif kind == "execute_result":
            self._before_a_display()
            show_result(part, content)

    def _before_a_display(self) -> None:
        """See to it that what a single engine shows does not stand in the middle of its line."""
        if self._single:
            self._end_lines()

    def _pass_on(self, part: Part, stream: str, text: str) -> None:
        if not text:
            return
        getattr(sys, stream).write(text)
        if text.endswith("\n"):
            self._unfinished.pop((part, stream), None)
        else:
            self._unfinished[part, stream] = text
            getattr(sys, stream).flush()

    def _write(self, part: Part, stream: str, text: str) -> None:
        label = "" if self._single else f"[{stream}:{part.rank}] "
        # What a carriage return takes back is not shown first.
        lines = (line.rpartition("\r")[2] for line in text.rstrip("\n").replace("\r\n", "\n").split("\n"))
        getattr(sys, stream).write("".join(f"{label}{line}\n" for line in lines))


@contextmanager
def stream_parts(parts: Sequence[Part], *, single: bool) -> Iterator[None]:
    """Show, while the body runs, what parts have to show."""
    streamer = Streamer(single=single)
    try:
        for part in parts:
            streamer.follow(part)
        yield
    finally:
        streamer.end(parts)
