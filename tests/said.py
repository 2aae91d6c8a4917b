"""What engines print, compared as far as the kernel promises an order.

What comes within the first 150 ms of a cell is in the order of ranks (``kernel/src/merge``). In a cell that
takes longer, because it computes or because the machine is busy, an engine may be a moment behind the others
and stand behind them.
"""

from __future__ import annotations

import re

#: Seconds in which engines' output is collected before any of it is shown.
OPENING = 0.15

_LABEL = re.compile(r"^(?=\[std(?:out|err):\d)", re.MULTILINE)


class Said(str):
    """A stream's text. Unless it is all ``in_order``, it equals a text in which each engine says the same."""

    in_order: bool

    def __new__(cls, text: str, in_order: bool) -> Said:
        said = super().__new__(cls, text)
        said.in_order = in_order
        return said

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, str) or str.__eq__(self, other):
            return isinstance(other, str)
        return not self.in_order and by_rank(self) == by_rank(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


def by_rank(text: str) -> str:
    """Return labelled lines in the order of ranks, each engine's in its own, behind what has no label."""
    head, *labelled = _LABEL.split(str(text))
    return head + "".join(
        sorted(labelled, key=lambda part: int(part[8:].partition("]")[0].partition("-")[0]))
    )
