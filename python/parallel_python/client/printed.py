"""`Printed`: what a task prints, in the pieces in which it comes.

Appending each piece to the whole would copy the whole each time, so pieces are joined when somebody reads
them. Metadata that somebody has kept and reads again lags behind by an eighth of a long text at most, until
the task ends. **Invariant**: all of it is done under the lock of `parallel_python.client.part`.
"""

from __future__ import annotations

from parallel_python.client.metadata import Metadata

#: A text of less than so many characters is always whole.
SHORT = 1 << 16


class Printed:
    """Text that is not yet in a task's metadata."""

    __slots__ = ("_pieces", "_size")

    def __init__(self) -> None:
        self._pieces: list[tuple[str, str]] = []
        self._size = 0

    def add(self, metadata: Metadata, stream: str, text: str) -> None:
        """Take in a piece."""
        self._pieces.append((stream, text))
        self._size += len(text)
        whole = len(metadata[stream])
        if whole < SHORT or 8 * self._size >= whole:
            self.join(metadata)

    def join(self, metadata: Metadata) -> None:
        """Put all of it into the metadata."""
        for stream in {stream for stream, _ in self._pieces}:
            metadata[stream] += "".join(text for one, text in self._pieces if one == stream)
        self.clear()

    def clear(self) -> None:
        """Forget it."""
        self._pieces.clear()
        self._size = 0
