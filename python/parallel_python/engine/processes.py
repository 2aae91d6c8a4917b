"""``!command``: a child process whose output is captured like every other."""

from __future__ import annotations

import os
import shutil
import signal
import time

#: How long an interrupted command may take to end before it is killed, in seconds.
PATIENCE = 2.0


def run(command: str) -> int:
    """Run a command in the user's shell and wait for it.

    Its output goes through the engine's descriptors 1 and 2, so it comes in order and while it runs. An
    interrupt reaches it as it would in a terminal, and kills it when that does not end it.

    Returns
    -------
    int
        Its exit code, or minus the number of the signal that ended it.
    """
    shell = shutil.which(os.environ.get("SHELL", "sh")) or "/bin/sh"
    # Not `subprocess`: an interrupt in the wrong place leaves its lock taken, and waiting never ends.
    child = os.posix_spawn(
        shell,
        [shell, "-c", command],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)],
        setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
    )
    try:
        return _wait(child)
    except KeyboardInterrupt:
        _end(child)
        raise


def _wait(child: int) -> int:
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _end(child: int) -> None:
    """End a command that was interrupted; with the engine's process group it has got the signal already."""
    until = time.monotonic() + PATIENCE
    try:
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            if time.monotonic() > until:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return
            time.sleep(0.01)
    except ChildProcessError:
        pass  # It was waited for in the moment of the interrupt.
