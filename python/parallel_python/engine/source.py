"""What IPython does to a cell's source before it runs, without the work that can change nothing.

On many engines a short cell costs mostly this: looking for IPython's own syntax takes more time than running
``x += 1``. **Invariant**: the same source comes out as from IPython's own classes.
"""

from __future__ import annotations

import re

from IPython.core.inputtransformer2 import TransformerManager

_STEPS = vars(TransformerManager())
_TRANSFORMERS = TransformerManager().token_transformers

#: Where IPython may see something of its own: characters of its syntax, prompts, lines of blanks.
_SUSPICIOUS = re.compile(r"[%!?\r\f\v]|>>>|In \[|\.\.\.|^[ \t]*[,;/]|^[ \t]+$", re.MULTILINE)


class SparingTransformer(TransformerManager):
    """IPython's transformer; it looks for IPython's syntax only where a character of it stands."""

    def transform_cell(self, cell: str) -> str:
        """Leave alone what begins at the margin and is nothing but Python."""
        at_margin = cell and not cell[0].isspace()
        if at_margin and not _SUSPICIOUS.search(cell) and vars(self) == _STEPS:
            return cell if cell.endswith("\n") else cell + "\n"
        return super().transform_cell(cell)

    def do_token_transforms(self, lines: list[str]) -> list[str]:
        """Tokenize only cells that could hold something to transform.

        ``%``, ``!`` and ``?`` mean something to IPython anywhere; ``,``, ``;`` and ``/`` begin a line.
        """
        if self.token_transformers == _TRANSFORMERS and not any(map(_suspicious, lines)):
            return lines
        return super().do_token_transforms(lines)


def _suspicious(line: str) -> bool:
    return "%" in line or "!" in line or "?" in line or line.lstrip()[:1] in {",", ";", "/"}


def may_await(source: str) -> bool:
    """Return False where a cell cannot need an event loop: nothing says ``await`` or ``async``."""
    return "await" in source or "async" in source
