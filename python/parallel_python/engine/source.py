"""What IPython does to a cell's source before it runs, without the work that can change nothing.

On many engines a short cell costs mostly this: looking for IPython's own syntax takes more time than running
``x += 1``. **Invariant**: the same source comes out as from IPython's own classes.
"""

from __future__ import annotations

import re

from IPython.core import prefilter
from IPython.core.autocall import IPyAutocall
from IPython.core.compilerop import CachingCompiler
from IPython.core.inputtransformer2 import TransformerManager
from IPython.core.macro import Macro

# Python's own: OpenSSL's takes longer to be called than to run.
try:
    from _sha1 import sha1  # type: ignore[import-not-found]
except ImportError:
    from hashlib import sha1

_STEPS = vars(TransformerManager())
_TRANSFORMERS = TransformerManager().token_transformers
_CHECKERS = tuple(getattr(prefilter, "_default_checkers", ()))

#: Where IPython may see something of its own: characters of its syntax, prompts, lines of blanks.
_SUSPICIOUS = re.compile(r"[%!?\r\f\v]|>>>|In \[|\.\.\.|^[ \t]*[,;/]|^[ \t]+$", re.MULTILINE)

#: A word that stands alone at the margin: what IPython looks a line up by.
_WORD = re.compile(r"[^\W\d]\w*(?![\w.*])")


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


class SparingPrefilter(prefilter.PrefilterManager):
    """IPython's way with a cell of one line; it asks what a line is only if it knows its first word."""

    def prefilter_lines(self, lines: str, continue_prompt: bool = False) -> str:
        """Leave alone a line that names no macro, no magic and nothing that is called by being named."""
        line = lines.rstrip("\n")
        if self._is_plain(line):
            return line
        return super().prefilter_lines(lines, continue_prompt)

    def _is_plain(self, line: str) -> bool:
        word = _WORD.match(line)
        # After a `#` an editor may say what it sends.
        if word is None or "\n" in line or "#" in line or not self._is_ipythons():
            return False
        shell = self.shell
        named = shell.user_ns.get(word.group())
        return not (
            isinstance(named, (Macro, IPyAutocall)) or shell.autocall or shell.find_magic(word.group())
        )

    def _is_ipythons(self) -> bool:
        """Whether nobody has changed what is done to lines."""
        unchanged = not self.transformers and tuple(map(type, self.checkers)) == _CHECKERS
        return unchanged and type(self.get_handler_by_name("normal")) is prefilter.PrefilterHandler


class SparingCompiler(CachingCompiler):
    """IPython's compiler, to which a cell's name costs less."""

    def get_code_name(self, raw_code: str, transformed_code: str, number: int) -> str:
        """Return the name that a cell's code has in tracebacks."""
        digest = sha1(transformed_code.encode(), usedforsecurity=False).hexdigest()
        return f"<ipython-input-{number}-{digest[:12]}>"


def _suspicious(line: str) -> bool:
    return "%" in line or "!" in line or "?" in line or line.lstrip()[:1] in {",", ";", "/"}


def may_await(source: str) -> bool:
    """Return False where a cell cannot need an event loop: nothing says ``await`` or ``async``."""
    return "await" in source or "async" in source
