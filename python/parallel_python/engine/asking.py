"""``input()``, ``getpass`` and the debugger: what code asks the person at the notebook.

The kernel shows a question with its engine's number, and serves engines that ask at once one after the other.
"""

from __future__ import annotations

import builtins
import getpass
import sys
from typing import TYPE_CHECKING, TextIO

from IPython.core.error import StdinNotImplementedError

if TYPE_CHECKING:
    from _parallel_python import Engine

#: What a frontend sends for Ctrl-D.
END_OF_FILE = "\x04"


class Asking:
    """Asks through the kernel, in place of the standard input that an engine does not have."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def install(self) -> None:
        """Take the place of what asks on a terminal."""
        builtins.input = self.input
        getpass.getpass = self.getpass
        use_interruptible_debugger()

    def input(self, prompt: object = "", /) -> str:
        """Ask for a line of text."""
        return self._ask(str(prompt), password=False)

    def getpass(
        self, prompt: str = "Password: ", stream: TextIO | None = None, *, echo_char: str | None = None
    ) -> str:
        """Ask for a line of text that is not shown; `stream` and `echo_char` are a terminal's."""
        return self._ask(prompt, password=True)

    def _ask(self, prompt: str, password: bool) -> str:
        if self.engine.is_fork():
            raise StdinNotImplementedError("a child process of an engine cannot ask for input")
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        try:
            answered, text = self.engine.ask(prompt, password)
        except KeyboardInterrupt:
            # From here, so that the traceback ends at the user's call.
            raise KeyboardInterrupt("Interrupted by user") from None
        if not answered:
            raise StdinNotImplementedError(text)
        if text == END_OF_FILE:
            raise EOFError
        return text


def use_interruptible_debugger() -> None:
    """Have ``pdb`` be IPython's debugger, which an interrupt ends."""
    import pdb

    from IPython.core import debugger

    debugger.Pdb = debugger.InterruptiblePdb
    pdb.Pdb = debugger.Pdb
    pdb.set_trace = debugger.set_trace
