"""``!command``: a child process whose output is captured like every other."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess

#: How long an interrupted command may take to end, in seconds.
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
    process = subprocess.Popen(command, shell=True, executable=shell, stdin=subprocess.DEVNULL)
    try:
        return process.wait()
    except KeyboardInterrupt:
        _end(process)
        raise


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command that was interrupted; the engine's process group has got the signal already."""
    for ask in (lambda: process.send_signal(signal.SIGINT), process.kill):
        try:
            ask()
            process.wait(PATIENCE)
            return
        except subprocess.TimeoutExpired:
            continue
