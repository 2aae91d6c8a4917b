"""An interrupt within a finalizer, where Python drops every exception: it comes again."""

from __future__ import annotations

import sys
from collections.abc import Callable

from _parallel_python import Dropped


def watch(interrupt_again: Callable[[], None]) -> None:
    """Have something called when Python has dropped a `KeyboardInterrupt`.

    Parameters
    ----------
    interrupt_again : callable
        Interrupts in a moment, not at once: it is called within the finalizer. It is no Python function, in
        which an interrupt that comes again would be dropped for good.
    """
    sys.unraisablehook = Dropped(interrupt_again, sys.unraisablehook)
