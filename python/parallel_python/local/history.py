"""Cells that ran on the engines, in the history of the notebook's own shell.

**Invariant**: ``In[n]`` is the cell with execution count n, wherever it ran.
"""

from __future__ import annotations

from IPython.core.interactiveshell import InteractiveShell


def record(shell: InteractiveShell, code: str, count: int) -> None:
    """Keep a cell as if it had run here.

    Parameters
    ----------
    shell : InteractiveShell
        The notebook's own shell.
    code : str
        The cell as it was typed.
    count : int
        Its execution count; the next cell's is one more.
    """
    history = shell.history_manager
    try:
        transformed = shell.transform_cell(code)
    except Exception:
        # What does not parse is kept as it is, as IPython does.
        transformed = code
    # Counts that nobody recorded (a process that was replaced) must not shift `In`.
    for hist in (history.input_hist_parsed, history.input_hist_raw):
        hist.extend([""] * (count - len(hist)))
    history.store_inputs(count, transformed, code)
    shell.execution_count = count + 1
