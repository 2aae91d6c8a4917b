"""Views as what the magics ``%px``, ``%%px``, ``%autopx`` … work on."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parallel_python.view.direct import DirectView


def activate(view: DirectView, suffix: str) -> None:
    """Have the magics with a suffix use a view.

    Outside IPython this warns and does nothing.
    """
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    if shell is None:
        warnings.warn("The parallel magics (%px, etc.) only work within IPython.", stacklevel=3)
        return
    from parallel_python.local import magics

    magics.activate(view, suffix)
