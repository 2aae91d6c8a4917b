"""An interrupt within a finalizer, where Python drops every exception: it comes again."""

from __future__ import annotations

import sys
from collections.abc import Callable


def watch(interrupt_again: Callable[[], None]) -> None:
    """Have something called when Python has dropped a `KeyboardInterrupt`.

    Parameters
    ----------
    interrupt_again : callable
        Interrupts in a moment, not at once: it is called within the finalizer.
    """
    former = sys.unraisablehook

    def dropped(unraisable: sys.UnraisableHookArgs) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            interrupt_again()
        else:
            former(unraisable)

    sys.unraisablehook = dropped
