"""A cell that engines run without IPython's detours is, does and shows what it would by IPython's own way.

Every cell runs on two engines: on engine 0 as on any, on engine 1 beside a transformer that changes nothing,
for which IPython goes all its way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from notebook import Cell, Notebook

APART = """%%px
import ast
if mpi_rank == 1:
    get_ipython().ast_transformers.append(ast.NodeTransformer())
"""

TELL = """%%px
way = get_ipython().run_cell_async
def tell(*cell, **how):
    print("IPython's way")
    return way(*cell, **how)
get_ipython().run_cell_async = tell
"""

WATCH = """%%px
def before(info):
    print("before", info.raw_cell, getattr(info, "transformed_cell", ""), info.store_history, info.silent)
def after(result):
    print("after", result.success, result.result, result.execution_count, type(result.error_in_exec))
get_ipython().events.register("pre_run_cell", before)
get_ipython().events.register("post_run_cell", after)
get_ipython().events.register("post_execute", lambda: print("executed"))
"""

CELLS = [
    "pass",
    "x = 1",
    "x + 1",
    "x = 2\nx * 2",
    "1; 2",
    "x;",
    "x  # a remark",
    "# only a remark",
    "'''text'''",
    "print(x)\n\n\nx\n",
    "for i in range(3): i",
    "if x:\n    x",
    "_",
    "_, _i, _ii, In[-1], len(Out)",
    "_ = 5",
    "7",
    "_",
    "1 / 0",
    "def f(n):\n    return 1 / n\nprint('first')\nf(0)\nprint('never')",
    "get_ipython().last_execution_succeeded, type(get_ipython().last_execution_result).__name__",
    "y = (",
    "return 5",
    "z = 1\nreturn z\nw = 2",
    "z, 'w' in dir()",
    "raise SystemExit(3)",
    "raise KeyboardInterrupt",
    "import bdb\nraise bdb.BdbQuit",
    "raise ValueError('new') from KeyError('old')",
    "raise ExceptionGroup('several', [ValueError(1), TypeError(2)])",
    "import warnings\nwarnings.warn('once')",
    "warnings.warn('again')",
    r"'\d'",
    "from __future__ import annotations",
    "def g(a: nowhere): pass\ng.__annotations__",
    "import builtins, sys\nhasattr(builtins, 'exit'), hasattr(builtins, 'get_ipython')",
    "sys.displayhook is get_ipython().displayhook, get_ipython().display_trap.is_active",
    "get_ipython().run_cell('inner = 1\\ninner', store_history=True)\ninner",
    "get_ipython().run_cell('1 / 0')\n'on'",
    "import inspect\ndef h():\n    return 1\nprint(inspect.getsource(h))",
    "h.__code__.co_filename",
    "get_ipython().execution_count, len(get_ipython().history_manager.input_hist_raw)",
    "get_ipython().set_custom_exc((LookupError,), lambda *a, **k: print('mine', a[2]))",
    "{}['nothing']",
    "get_ipython().ast_node_interactivity = 'all'",
    "1\n2",
    "get_ipython().ast_node_interactivity = 'last_expr'",
    "def two(lines): return [line.replace('one', 'two') for line in lines]",
    "get_ipython().input_transformers_post.append(two)",
    "print('one')",
    "get_ipython().input_transformers_post.clear()",
    "get_ipython().displayhook.exec_result is get_ipython().last_execution_result",
    "%precision 3",
    "3.14159265",
    "exit",
    "help",
    "del x\nx",
    "sorted(name for name in globals() if not name.startswith('__'))",
    "In, sorted(Out), {n: kept['ename'] for n, kept in get_ipython().history_manager.exceptions.items()}",
]


@pytest.fixture(scope="module")
def pair() -> Iterator[Notebook]:
    """A kernel with two engines that go different ways."""
    with Notebook(engines=2) as notebook:
        notebook.ok(APART, timeout=120)
        yield notebook


def shown(cell: Cell, rank: int) -> list[str]:
    """What one of the engines has shown, without its name: of each stream what it said, then the rest."""
    streams = ["".join(said(cell.text(name), rank)) for name in ("stdout", "stderr")]
    values = [text for text in cell.results if f"[{rank}:" in text]
    return streams + [re.sub(rf"^(\w+\[|\[\w+:){rank}\b", r"\1", text) for text in values]


def said(text: str, rank: int) -> Iterator[str]:
    """What one of the engines has said, in as many parts as it was shown in."""
    for part in re.split(r"^(?=\[std)", text, flags=re.MULTILINE):
        label, _, said = part.partition("] ")
        if label.endswith(f":{rank}"):
            yield said.removeprefix("\n")


def test_the_engines_go_different_ways() -> None:
    with Notebook(engines=2) as notebook:
        notebook.ok(APART, timeout=120)
        if "True" in notebook.ok("%px import IPython; print(IPython.version_info[:2] < (9, 8))").stdout:
            pytest.skip("an IPython that counts a cell when it has run goes its own way with all cells")
        notebook.ok(TELL)
        cell = notebook.ok("%px print('here')")
        assert [shown(cell, rank)[0] for rank in (0, 1)] == ["here\n", "IPython's way\nhere\n"]
        for special in ("%time 1", "await f()", "x = !ls", "exit"):
            assert "IPython's way" in notebook.run(f"%%px -t 0\n{special}").stdout, special


@pytest.mark.parametrize("watched", [False, True])
def test_a_cell_is_what_ipython_makes_of_it(pair: Notebook, watched: bool) -> None:
    if watched:
        pair.ok(WATCH)
    for code in CELLS:
        cell = pair.run(f"%%px\n{code}")
        assert shown(cell, 0) == shown(cell, 1), code
        if cell.error:
            # Equal errors are shown once, with their ranks.
            assert "[engines 0, 1]" in cell.error, cell.error
