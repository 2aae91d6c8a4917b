"""Results of parallel cells that did not wait, in the notebook's own namespace."""

from __future__ import annotations

from IPython.core.interactiveshell import InteractiveShell


def bind(shell: InteractiveShell, name: str, variable: str | None, show: bool, count: int) -> None:
    """Give the result of a parallel cell to the user.

    Parameters
    ----------
    shell : InteractiveShell
        The notebook's own shell.
    name : str
        The task's name in the client API.
    variable : str or None
        What to bind its `AsyncResult` to.
    show : bool
        Whether it is the cell's value too: ``_``, ``_count`` and ``Out[count]``.
    count : int
        The cell's execution count.
    """
    from parallel_python.client import recall_px

    result = recall_px(name)
    if variable is not None:
        shell.push({variable: result}, interactive=True)
    if show:
        # The hook takes the count from the shell, which may be a cell further by now; and in some versions
        # of IPython the shell's count is that of the next cell.
        present, shell.execution_count = shell.execution_count, count
        shell.execution_count += count - shell.displayhook.prompt_count
        try:
            shell.displayhook.update_user_ns(result)
        finally:
            shell.execution_count = present
