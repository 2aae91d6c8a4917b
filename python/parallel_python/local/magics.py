"""The parallel magics as the notebook's own shell knows them: each one calls the kernel.

What the words after a magic mean is decided in the kernel, by the same code that runs whole parallel cells.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from IPython.core.error import UsageError
from IPython.core.magic import MAGIC_NO_VAR_EXPAND_ATTR

from .kernel import LocalKernel
from .session import header_bytes

F = TypeVar("F", bound=Callable[..., None])

# name, whether there is a line magic, whether there is a cell magic, help
Spec = tuple[str, bool, bool, str]

# All that follows is code for the engines: `{x}` and `$x` in it are the user's.
TAKEN_AS_TYPED = {"px"}


class RemoteError(Exception):
    """An exception that was raised on engines; its traceback is the one made there."""

    remote_traceback: list[str]

    def _render_traceback_(self) -> list[str]:
        """Return the traceback that IPython shows instead of this process's."""
        return self.remote_traceback


def register(kernel: LocalKernel, specs: list[Spec]) -> None:
    """Make the kernel's magics known to the shell.

    Parameters
    ----------
    kernel : LocalKernel
        Its shell gets the magics, its link takes the calls.
    specs : list of tuple
        As the kernel sent them.
    """
    manager = kernel.shell.magics_manager
    for name, has_line, has_cell, text in specs:
        if has_line:
            manager.register_function(_line_magic(kernel, name, text), "line", name)
        if has_cell:
            manager.register_function(_cell_magic(kernel, name, text), "cell", name)


def _line_magic(kernel: LocalKernel, name: str, text: str) -> Callable[[str], None]:
    def line_magic(line: str) -> None:
        _call(kernel, name, line, None)

    if name in TAKEN_AS_TYPED:
        setattr(line_magic, MAGIC_NO_VAR_EXPAND_ATTR, True)
    return _named(line_magic, name, text)


def _cell_magic(kernel: LocalKernel, name: str, text: str) -> Callable[[str, str], None]:
    def cell_magic(line: str, cell: str) -> None:
        _call(kernel, name, line, cell)

    return _named(cell_magic, name, text)


def _named(function: F, name: str, text: str) -> F:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    return function


def _call(kernel: LocalKernel, name: str, line: str, cell: str | None) -> None:
    """Have the kernel run a magic, and wait until all that it shows has been shown."""
    sys.stdout.flush()
    parent = header_bytes(kernel.get_parent("shell"))
    how, *details = kernel.session.link.call(name, line, cell, parent)
    if how == "failed":
        ename, evalue, traceback = details
        error = _remote_class(ename)(evalue)
        error.remote_traceback = traceback
        raise error
    if how == "usage":
        raise UsageError(details[0])
    if how == "interrupted":
        raise KeyboardInterrupt


@lru_cache(maxsize=256)
def _remote_class(ename: str) -> type[RemoteError]:
    """Return a class with the name of the remote one, so that it is shown as that."""
    return type(ename, (RemoteError,), {"__module__": __name__})
