"""What IPython does to a cell's source before it runs, without the work that can change nothing.

On many engines a short cell costs mostly this: looking for IPython's own syntax takes more time than running
``x += 1``. **Invariant**: the same source comes out as from IPython's own classes.
"""

from __future__ import annotations
import __future__

import re
from ast import AST
from contextlib import nullcontext
from types import CodeType
from typing import Any

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

#: What future statements leave in a code's flags.
_FUTURE = 0
for _name in __future__.all_feature_names:
    _FUTURE |= getattr(__future__, _name).compiler_flag

#: For who asks for a context in which nothing changes.
NOTHING = nullcontext()

#: Where IPython may see something of its own: characters of its syntax, prompts, lines of blanks.
_SUSPICIOUS = re.compile(r"[%!?\r\f\v]|>>>|In \[|\.\.\.|^[ \t]*[,;/]|^[ \t]+$", re.MULTILINE)

#: A word that stands alone at the margin: what IPython looks a line up by.
_WORD = re.compile(r"[^\W\d]\w*(?![\w.*])")


class SparingTransformer(TransformerManager):
    """IPython's transformer; it looks for IPython's syntax only where a character of it stands."""

    def transform_cell(self, cell: str) -> str:
        """Return the cell as Python."""
        if self.leaves_alone(cell):
            return cell if cell.endswith("\n") else cell + "\n"
        return super().transform_cell(cell)

    def leaves_alone(self, cell: str) -> bool:
        """Whether the cell begins at the margin and is nothing but Python."""
        at_margin = cell and not cell[0].isspace()
        return at_margin and not _SUSPICIOUS.search(cell) and vars(self) == _STEPS

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
        if self.leaves_alone(line):
            return line
        return super().prefilter_lines(lines, continue_prompt)

    def leaves_alone(self, line: str) -> bool:
        """Whether it is one line, and nothing in it is IPython's."""
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
    """IPython's compiler, to which a cell's name and future statements cost less."""

    def __call__(self, source: Any, filename: str, symbol: str, **options: Any) -> CodeType:
        """Compile; a future statement is remembered for all that comes."""
        if not isinstance(source, AST):
            return super().__call__(source, filename, symbol, **options)
        code = compile(source, filename, symbol, self.flags, dont_inherit=True)
        self.flags |= code.co_flags & _FUTURE
        return code

    def get_code_name(self, raw_code: str, transformed_code: str, number: int) -> str:
        """Return the name that a cell's code has in tracebacks."""
        digest = sha1(transformed_code.encode(), usedforsecurity=False).hexdigest()
        return f"<ipython-input-{number}-{digest[:12]}>"


def _suspicious(line: str) -> bool:
    return "%" in line or "!" in line or "?" in line or line.lstrip()[:1] in {",", ";", "/"}


def may_await(source: str) -> bool:
    """Return False where a cell cannot need an event loop: nothing says ``await`` or ``async``."""
    return "await" in source or "async" in source
