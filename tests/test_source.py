"""The engines' sparing treatment of source gives what IPython's own gives."""

from __future__ import annotations

import runpy

import pytest
from IPython.core.compilerop import CachingCompiler
from IPython.core.inputtransformer2 import TransformerManager
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.macro import Macro
from IPython.core.prefilter import PrefilterChecker, PrefilterTransformer
from traitlets.config import Config

from notebook import ROOT

# The package imports what only an engine has; this module needs none of it.
SOURCE = runpy.run_path(str(ROOT / "python/parallel_python/engine/source.py"))
SparingTransformer, may_await = SOURCE["SparingTransformer"], SOURCE["may_await"]
SparingPrefilter = SOURCE["SparingPrefilter"]
as_python = runpy.run_path(str(ROOT / "python/parallel_python/local/history.py"))["as_python"]

RECORDED = [
    "%px pass",
    "%px x = [1, 2]",
    "%px print('a",
    "%px f(",
    "%px  two  blanks ",
    "%px",
    "%px len?",
    "%px a \\",
    "%px a\r",
    "%px print(1)\n",
    "%autopx",
    "%engines restart -n 4",
    "%px 1\n%px 2",
    "x = %px 1",
    "%%px",
    "%%px\npass",
    "%%px\n\npass\n\n",
    "%%px --targets 0:2 --noblock\nimport os\nprint(os.getpid(), '''\n%x''')\n",
    "%%px?\nx",
    "%%px\nx?",
    "%%px\n  \nx = 1",
    "%%px\n>>> x = 1",
    "%%px\nx = (1,\n     2)",
    "%%px\n%time x = 1\n!ls",
    "%%px\ns = 'é\u2028'",
    "# a remark\n%px 1",
    "",
]

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

LINES = [
    "pass",
    "x = 1\n",
    "np.zeros(3)",
    "pwd",
    "ls = 3",
    "time sum([1])",
    "exit",
    "exit()",
    "kept",
    "kept = 1",
    "cd",
    "f x",
    "f(x)",
    "f.g x",
    "x*2",
    "pwd*",
    "pass # PYTHON-MODE",
    "1 + 1",
    "(1, 2)",
    "  pwd",
    "été x",
    "",
    "# nothing",
]


@pytest.fixture
def shell(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> InteractiveShell:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    shell.user_ns.update(kept=Macro("x = 1\ny = 2"), cd=1, f=len)
    shell.prefilter_manager.__class__ = SparingPrefilter
    return shell


def ipythons(shell: InteractiveShell, line: str) -> str:
    """What comes of a line when IPython asks everything it can."""
    return super(SparingPrefilter, shell.prefilter_manager).prefilter_lines(line)


@pytest.mark.parametrize("autocall", [0, 2])
@pytest.mark.parametrize("line", LINES)
def test_the_same_line_comes_out(shell: InteractiveShell, line: str, autocall: int) -> None:
    shell.autocall = autocall
    assert shell.prefilter_manager.prefilter_lines(line) == ipythons(shell, line)


def test_what_the_user_adds_to_the_treatment_of_lines_is_honoured(shell: InteractiveShell) -> None:
    class Shout(PrefilterTransformer):
        def transform(self, line: str, continue_prompt: bool) -> str:
            return line.upper()

    class Ask(PrefilterChecker):
        def check(self, line_info: object) -> None:
            raise LookupError("asked")

    manager = shell.prefilter_manager
    shout = Shout(shell=shell, prefilter_manager=manager)
    assert manager.prefilter_lines("pass") == "PASS"
    manager.unregister_transformer(shout)
    Ask(shell=shell, prefilter_manager=manager)
    with pytest.raises(LookupError):
        manager.prefilter_lines("pass")


@pytest.mark.parametrize("cell", CELLS)
def test_the_same_source_comes_out(cell: str) -> None:
    assert SparingTransformer().transform_cell(cell) == TransformerManager().transform_cell(cell)


@pytest.mark.parametrize("cell", ["pass\n", "print('Größe, 大きさ')\n"])
def test_code_has_the_same_name(cell: str) -> None:
    sparing, own = SOURCE["SparingCompiler"](), CachingCompiler()
    assert sparing.get_code_name(cell, cell, 7) == own.get_code_name(cell, cell, 7)


@pytest.mark.parametrize("cell", RECORDED)
def test_a_recorded_cell_is_kept_as_ipython_keeps_it(shell: InteractiveShell, cell: str) -> None:
    assert as_python(shell, cell) == shell.transform_cell(cell)


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
