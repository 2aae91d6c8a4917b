"""Bars that show how many of several things are done.

**Invariant**: an interrupt comes before a call of these functions or behind it (``local/locks.py``): a bar
of tqdm's that is made by half, or closed by half, keeps the lock of all bars when it is collected.
"""

from __future__ import annotations

import sys
from typing import Any


class PlainBar:
    """A line of text, where there is no tqdm."""

    def __init__(self, total: int, desc: str, unit: str) -> None:
        self.total, self.n = total, 0
        self._what = f"{desc}: " if desc else ""
        self._unit = unit
        self.refresh()

    def update(self, n: int = 1) -> None:
        """Say that more is done."""
        self.n += n
        self.refresh()

    def refresh(self) -> None:
        """Draw the line again."""
        sys.stdout.write(f"\r{self._what}{self.n}/{self.total} {self._unit}")
        sys.stdout.flush()

    def close(self) -> None:
        """End the line."""
        sys.stdout.write("\n")


def make_bar(total: int, desc: str, unit: str, widget: bool | None = None) -> Any:
    """Return a bar: tqdm's widget where widgets are, its text elsewhere, ours where there is no tqdm."""
    if widget is None:
        widget = _has_widgets()
    try:
        if widget:
            from tqdm.notebook import tqdm
        else:
            from tqdm import tqdm
    except ImportError:
        return PlainBar(total, desc, unit)
    return tqdm(total=total, desc=desc, unit=unit, **({} if widget else {"file": sys.stdout}))


def _has_widgets() -> bool:
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    if not hasattr(shell, "kernel"):
        return False
    try:
        import ipywidgets  # noqa: F401
    except ImportError:
        return False
    return True


def draw(bar: Any, n: int) -> None:
    """Show how many are done."""
    if n != bar.n:
        bar.update(n - bar.n)


def close(bar: Any) -> None:
    """Show for the last time how many are done."""
    bar.refresh()
    bar.close()
