"""The source lines of functions that came from elsewhere, for tracebacks that show them.

They are kept when a function arrives and put where Python looks for them only when a traceback is made.
"""

from __future__ import annotations

import linecache
import sys
from functools import lru_cache
from types import CodeType
from typing import Any

#: File, first line's number, lines, and the number of the cell they were typed into.
Source = tuple[str, int, list[str], int | None]

#: The most characters that travel with one function.
LIMIT = 20_000

_arrived: dict[str, dict[int, str]] = {}
_cells: dict[str, int] = {}


def of(code: CodeType) -> Source | None:
    """Return the lines of a function that was typed in, or None for one that lies in a file."""
    file = code.co_filename
    cell = _number_of_cell(file)
    if cell is None and not file.startswith("<"):
        return None
    lines = _lines(code, file)
    return None if lines is None else (file, code.co_firstlineno, lines, cell)


@lru_cache(maxsize=512)
def _lines(code: CodeType, file: str) -> list[str] | None:
    """Return a function's lines. The same text in two cells is equal code, but of two files."""
    lines = linecache.getlines(file)[code.co_firstlineno - 1 : _last_line(code)]
    return None if not lines or sum(map(len, lines)) > LIMIT else lines


def _last_line(code: CodeType) -> int:
    lines = [line for _, _, line in code.co_lines() if line is not None]
    inside = [_last_line(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return max([code.co_firstlineno, *lines, *inside])


def _shell() -> Any:
    interactiveshell = sys.modules.get("IPython.core.interactiveshell")
    if interactiveshell is None or not interactiveshell.InteractiveShell.initialized():
        return None
    return interactiveshell.InteractiveShell.instance()


def _number_of_cell(file: str) -> int | None:
    shell = _shell()
    return None if shell is None else getattr(shell.compile, "_filename_map", {}).get(file)


def remember(source: Source | None) -> None:
    """Keep the lines of a function that has arrived."""
    if source is None:
        return
    file, first, lines, cell = source
    kept = _arrived.setdefault(file, {})
    kept.update(enumerate(lines, start=first))
    if cell is not None:
        _cells[file] = cell


def show() -> None:
    """Put what has arrived where tracebacks look for it."""
    shell = _shell()
    for file, kept in _arrived.items():
        known = linecache.cache.get(file)
        if known is not None and _number_of_cell(file) is not None and file not in _cells:
            continue
        lines = [kept.get(number, "\n") for number in range(1, max(kept) + 1)]
        linecache.cache[file] = (sum(map(len, lines)), None, lines, file)
        if shell is not None and file in _cells:
            shell.compile._filename_map[file] = _cells[file]
