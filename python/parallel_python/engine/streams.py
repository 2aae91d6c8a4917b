"""``sys.stdout`` and ``sys.stderr`` of an engine.

Text goes to Rust at once, which keeps it in order with what C code and child processes write, gathers it for
some milliseconds and reports it without needing the GIL. Nothing is held back in Python, so `flush` has
nothing to do.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO, Literal

if TYPE_CHECKING:
    from _parallel_python import Engine


class EngineStream(io.TextIOBase):
    """One of the two text streams."""

    def __init__(self, engine: Engine, name: Literal["stdout", "stderr"]) -> None:
        self._engine = engine
        self._buffer: BinaryIO | None = None
        self.name = f"<{name}>"
        self._stream = name

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """UTF-8, always."""
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        """What cannot be encoded is replaced."""
        return "backslashreplace"

    @property
    def buffer(self) -> BinaryIO:
        """The same stream for bytes, as the standard streams have it."""
        if self._buffer is None:
            self._buffer = open(self.fileno(), "wb", buffering=0, closefd=False)  # noqa: SIM115
        return self._buffer

    def write(self, text: str) -> int:
        """Write text; how many characters it has."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        try:
            self._engine.write(self._stream, text)
        except UnicodeEncodeError:  # lone surrogates
            self._engine.write(self._stream, text.encode("utf-8", self.errors).decode())
        return len(text)

    def writable(self) -> bool:
        """Text can be written."""
        return True

    def isatty(self) -> bool:
        """Nobody types here."""
        return False

    def fileno(self) -> int:
        """Return the descriptor that child processes and C code write to."""
        return 1 if self._stream == "stdout" else 2

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Stay open: the stream lives as long as the process."""
