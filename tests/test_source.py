"""The engines' sparing treatment of source gives what IPython's own gives."""

from __future__ import annotations

import runpy

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from notebook import ROOT

# The package imports what only an engine has; this module needs none of it.
SOURCE = runpy.run_path(str(ROOT / "python/parallel_python/engine/source.py"))
SparingTransformer, may_await = SOURCE["SparingTransformer"], SOURCE["may_await"]

CELLS = [
    "",
    "pass",
    "x = [1, 2]\nprint(x[0] / 2); y = 3",
    "%timeit 1",
    "x = %sql a\n",
    "files = !ls",
    "!!ls",
    "len?",
    "?len",
    ",f a b",
    "  ;f a b",
    "/f a",
    "x = 5 % 3 != 2",
    "print('a\\n, b')\n",
    "s = '''\n%not a magic\n, nor this\n'''",
    "%%bash\necho hi",
    "    indented = 1\n    more = 2",
    ">>> 1 + 1",
    "In [1]: %pwd",
    "if True:\n    %pwd\n",
    "broken = (",
    "f(1,\n, 2)",
    "\n\nx = 1",
    " ",
    "x = 1\n   \ny = 2",
    "s = '''\n   \n'''",
    "x = 1\n>>> y = 2",
    "x = 1\nIn [2]: y = 2",
    "x = 1\n   ...: y = 2",
    "x[...]",
    "x = 1\r\n  \r\ny = 2",
    "if x:\n\ty = 1\n\n\tz = 2\n\n\n",
    "é = 'ü'\x0c",
    "\ufeffx = 1",
    "x = 1\n; y = 2",
]


@pytest.mark.parametrize("cell", CELLS)
def test_the_same_source_comes_out(cell: str) -> None:
    assert SparingTransformer().transform_cell(cell) == TransformerManager().transform_cell(cell)


def test_a_transformer_of_the_users_own_is_honoured() -> None:
    class Shout:
        @classmethod
        def find(cls, tokens_by_line: object) -> None:
            raise LookupError("asked")

    sparing = SparingTransformer()
    sparing.token_transformers = [*sparing.token_transformers, Shout]
    with pytest.raises(LookupError):
        sparing.transform_cell("pass")


@pytest.mark.parametrize(
    ("cell", "expected"), [("pass", False), ("await f()", True), ("async with x: pass", True)]
)
def test_cells_that_may_need_a_loop(cell: str, expected: bool) -> None:
    assert may_await(cell) is expected
