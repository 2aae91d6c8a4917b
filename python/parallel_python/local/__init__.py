"""The notebook's own Python process: ipykernel's kernel and shell on a link to the kernel process.

::

    kernel (Rust) ─ link ─► reader thread ─► inboxes ─► asyncio loops ─► LocalKernel ─► ZMQInteractiveShell
                  ◄─ link ─ writer ◄─ RustSession.send ◄─ replies, displays, errors ─┘
                                   ◄─ OutStream.write, captured descriptors

Everything of ipykernel below ``Session.send`` and ``Session.recv`` is replaced; everything above it is
ipykernel's own, so display, comms, widgets, history, debugger, subshells and user configuration are too.

The kernel process owns what a client may rely on while Python is busy: the sockets, the order of
requests, the states busy and idle, the answers to ``kernel_info``, ``interrupt`` and ``shutdown``.

========================  ==================================================================
file                      what it is
========================  ==================================================================
``requirements``          the one list of what we use of ipykernel, and its check
``session``               ``RustSession``: messages to and from the link
``channels``              what stands where ipykernel expects sockets
``stream``                ``sys.stdout`` and ``sys.stderr``
``kernel``                ``LocalKernel``: one request from its message to its end
``interrupts``            when a `KeyboardInterrupt` may be raised, and when not
``locks``                 where it would keep a lock for ever, and comes a moment later
``interrupted``           an interrupt of a magic, shown where the user's code called it
``app``                   ``LocalApp``: the order of start and end
``magics``                the parallel magics, which call the kernel
``results``               results of parallel cells that did not wait
``history``               cells that ran on the engines, in this shell's history
``place``                 which line of the cell runs, for when this process is killed
``subshells``             threads that run cells beside the main shell
``tracebacks``            errors without the frames of this package
``debugger``              ipykernel's debugger, loaded when somebody debugs
``debugging``             what ipykernel's debugger needs of sockets
========================  ==================================================================
"""

from __future__ import annotations

import gc
import os
import platform
import sys
from traceback import format_exception_only
from typing import TYPE_CHECKING

from _parallel_python import Link

from parallel_python import dropped

if TYPE_CHECKING:
    from .app import LocalApp


_link: Link | None = None


def link() -> Link:
    """Return the process's link to the kernel; raises `RuntimeError` where there is none."""
    if _link is None:
        raise RuntimeError("this process has no kernel above it")
    return _link


def main(options: dict[str, str]) -> None:
    """Serve the kernel at the other end of the link until it says quit.

    Parameters
    ----------
    options : dict
        ``link`` is the descriptor of the link; ``door`` says how Python was entered.
    """
    # What a start makes stays: looking through it for garbage, now or later, is for nothing.
    gc.disable()
    _lead_a_process_group()
    global _link
    _link = Link(int(options["link"]))
    dropped.watch(_link.interrupt_again)
    try:
        app = _prepare(_link)
    except BaseException as error:
        _link.unfit(_reason(error))
        raise SystemExit(1) from error
    _link.hello(platform.python_version(), app.kernel_info())
    gc.freeze()
    gc.enable()
    app.start()


def _prepare(link: Link) -> LocalApp:
    """Make the shell ready for its first cell."""
    setup = link.setup()
    # ipykernel must not be imported before it has been checked.
    from .requirements import check

    check()
    from .app import LocalApp

    app = LocalApp.instance(link=link, setup=setup)
    app.initialize([])
    return app


def _reason(error: BaseException) -> str:
    """Say to the user why there is no shell."""
    from .requirements import Unfit

    if isinstance(error, Unfit):
        return str(error)
    what = "".join(format_exception_only(error)).strip()
    return f"the Python `{sys.executable}` could not start its shell: {what}; the kernel's log says more"


def _lead_a_process_group() -> None:
    """Take the children of cells into a group of ours, so that an interrupt reaches them and nobody else."""
    try:
        os.setpgid(0, 0)
    except PermissionError:
        pass  # We lead a session already, and so a group.
