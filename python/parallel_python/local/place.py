"""Where in its cell the main shell is, noted where the kernel finds it when this process has been killed.

**Invariant**: what is noted is a line of the cell as it was typed: statements of code that a cell runs in
turn (``%run``, ``get_ipython().run_cell``) leave the cell's own line standing, and so do other threads.
"""

from __future__ import annotations

import threading
from types import CodeType
from typing import Any

from _parallel_python import Link
from IPython.core.interactiveshell import InteractiveShell


def note_statements(shell: InteractiveShell, link: Link) -> None:
    """Note the line of each statement of a cell while it runs.

    Parameters
    ----------
    shell : InteractiveShell
        Runs the cells, one statement after the other.
    link : Link
        Takes the notes.
    """
    run, mark, main = shell.run_code, link.mark_line, threading.main_thread()
    noted = False

    async def run_code(code_obj: CodeType, result: Any = None, *, async_: bool = False) -> bool:
        nonlocal noted
        if noted or threading.current_thread() is not main:
            return await run(code_obj, result, async_=async_)
        noted = True
        mark(next((line for _, _, line in code_obj.co_lines() if line), 0))
        try:
            return await run(code_obj, result, async_=async_)
        finally:
            mark(0)
            noted = False

    shell.run_code = run_code
