"""The history of the notebook's own shell: cells that ran on the engines are in it too.

**Invariants**: ``In[n]`` is the cell with execution count n, wherever it ran. No cell waits for the disk.
"""

from __future__ import annotations

import re
import threading
from contextlib import nullcontext
from typing import Any

from IPython.core import inputtransformer2
from IPython.core.history import HistoryManager
from IPython.core.interactiveshell import InteractiveShell

_STEPS = vars(inputtransformer2.TransformerManager())

#: One magic and no other: a line alone, which nothing continues and which asks for no help.
_LINE_MAGIC = re.compile(r"%[^\W\d]\w*(?: [^\n\\?]*)?\n?\Z")
_CELL_MAGIC = re.compile(r"%%[^\W\d]\w*(?: [^\n\\?]*)?\n")

#: What IPython would strip from lines, and what only some of its steps take for the end of a line.
_SPECIAL = re.compile(r">>>|\.\.\.|In \[|^[ \t]+$|[\r\v\f\x1c-\x1e\x85\u2028\u2029]", re.MULTILINE)


def record(shell: InteractiveShell, code: str, count: int) -> None:
    """Keep a cell as if it had run here.

    Parameters
    ----------
    shell : InteractiveShell
        The notebook's own shell.
    code : str
        The cell as it was typed; empty for one of which only the count is known.
    count : int
        Its execution count; the next cell's is one more.
    """
    history = shell.history_manager
    try:
        transformed = as_python(shell, code)
    except Exception:
        # What does not parse is kept as it is, as IPython does.
        transformed = code
    # Counts that nobody recorded (a process that was replaced) must not shift `In`.
    for hist in (history.input_hist_parsed, history.input_hist_raw):
        hist.extend([""] * (count - len(hist)))
    if code:
        history.store_inputs(count, transformed, code)
    else:
        history.input_hist_parsed.append("")
        history.input_hist_raw.append("")
    shell.execution_count = count + 1


def as_python(shell: InteractiveShell, code: str) -> str:
    """Return what IPython makes of a cell; where it is a magic, without looking at each word for others."""
    changed = vars(shell.input_transformer_manager) != _STEPS or shell.input_transformers_post
    if not (changed or _SPECIAL.search(code)):
        if _LINE_MAGIC.match(code):
            return inputtransformer2.tr["%"](code[1:].rstrip()) + "\n"
        if _CELL_MAGIC.match(code):
            lines = (code if code.endswith("\n") else code + "\n").splitlines(keepends=True)
            return "".join(inputtransformer2.cell_magic(lines))
    return shell.transform_cell(code)


def write_beside(history: HistoryManager) -> None:
    """Have the database written without a lock that the next cell waits for.

    IPython writes in a thread of its own, but keeps the cache locked until the disk has it: in a notebook
    that is run as a whole, each cell waits for the one before to be on the disk.
    """
    writing = threading.Lock()

    def writeout_cache(conn: Any = None) -> None:
        # Whoever comes second finds on the disk what the first has taken.
        with writing:
            _Batch(history).writeout_cache(conn)

    history.writeout_cache = writeout_cache


class _Batch:
    """What waits to be written, taken out of a `HistoryManager`; the code that writes it takes it for one."""

    def __init__(self, history: HistoryManager) -> None:
        self._history = history
        with history.db_input_cache_lock:
            self.db_input_cache, history.db_input_cache = history.db_input_cache, []
        with history.db_output_cache_lock:
            self.db_output_cache, history.db_output_cache = history.db_output_cache, []
        self.db_input_cache_lock = self.db_output_cache_lock = nullcontext()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._history, name)

    writeout_cache = HistoryManager.writeout_cache
    _writeout_input_cache = HistoryManager._writeout_input_cache
    _writeout_output_cache = HistoryManager._writeout_output_cache
