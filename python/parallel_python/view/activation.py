"""Views as what the magics ``%px``, ``%%px``, ``%autopx`` … work on."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parallel_python.view.direct import DirectView


def activate(view: DirectView, suffix: str) -> None:
    """Have the magics with a suffix use a view.

    Outside a notebook of ours this warns and does nothing.
    """
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    if shell is None:
        warnings.warn("The parallel magics (%px, etc.) only work within IPython.", stacklevel=3)
        return
    if "parallel_python.local" not in sys.modules:
        warnings.warn(
            "the parallel magics (%px, etc.) belong to the kernel `Parallel Python (Rust)`: elsewhere use the"
            " view, as in `view.execute(code)`",
            stacklevel=3,
        )
        return
    from parallel_python.local import magics

    magics.activate(view, suffix)
