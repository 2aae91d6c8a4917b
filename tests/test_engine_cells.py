"""An engine's cell is an IPython cell: everything that works in a notebook works there."""

from __future__ import annotations

import os

import pytest

from notebook import Notebook, lines


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("%px %cd -q .\n%px import os; print(type(get_ipython()).__mro__[1].__name__)", "InteractiveShell"),
        ("%px !echo shell", "shell"),
        ("%%px\nx = !echo captured\nprint(x)", "['captured']"),
        ("%%px\nimport asyncio\nawait asyncio.sleep(0)\nprint('awaited')", "awaited"),
        ("%%px\n%%bash\necho from bash", "from bash"),
        ("%px print(__name__)", "__main__"),
    ],
)
def test_ipython_works_on_engines(nb: Notebook, code: str, line: str) -> None:
    assert nb.ok(code).stdout == lines(line)


def test_the_last_results_are_kept(nb: Notebook) -> None:
    nb.ok("%px 21")
    results = nb.ok("%px _ * 2").results
    assert [result.rpartition(" ")[2] for result in results] == ["42"] * 4
    assert nb.ok("%px print(len(Out) > 0, len(In) > 1)").stdout == lines("True True")


def test_a_cell_magic_times(nb: Notebook) -> None:
    cell = nb.ok("%%px -t 0\n%%time\nsum(range(1000))")
    assert "Wall time" in cell.stdout or "CPU times" in cell.stdout
    assert "499500" in cell.results[-1]


def test_rich_results_and_displays_carry_their_engine(nb: Notebook) -> None:
    nb.ok("%px from IPython.display import HTML, display")
    cell = nb.ok("%%px -t 0,1\ndisplay(HTML('<b>shown</b>'))\nHTML('<i>result</i>')")
    html = [data["text/html"] for data in cell.displays if "text/html" in data]
    assert sorted(html) == ["<b>shown</b>"] * 2 + ["<i>result</i>"] * 2
    engines = [
        message["metadata"].get("engine")
        for message in cell.messages
        if message["msg_type"] == "display_data"
    ]
    assert set(engines) == {0, 1}
    assert cell.results.count("[output:1]") == 2


def test_matplotlib_inline_gives_a_figure_per_engine(nb: Notebook) -> None:
    cell = nb.ok(
        "%%px -t 0,1\n%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.show()",
        timeout=120,
    )
    figures = [data["image/png"] for data in cell.displays if "image/png" in data]
    assert len(figures) == 2 and all(figure.startswith("iVBOR") for figure in figures)


def test_tracebacks_are_ipythons(nb: Notebook) -> None:
    cell = nb.fails("%%px -t 2\ndef broken():\n    raise ValueError('spoiled')\nbroken()")
    assert cell.reply["content"]["ename"] == "ValueError"
    assert cell.reply["content"]["evalue"] == "spoiled"
    assert "----> 2     raise ValueError('spoiled')" in cell.error


def test_exit_is_an_error_and_ends_nothing(nb: Notebook) -> None:
    nb.fails("%px import sys; sys.exit(3)")
    assert nb.ok("%px print('alive')").stdout == lines("alive")


def test_child_processes_work(nb: Notebook) -> None:
    code = """%%px
import multiprocessing, subprocess, sys
out = subprocess.run([sys.executable, "-c", "print(6*7)"], capture_output=True, text=True).stdout.strip()
with multiprocessing.get_context("{method}").Pool(2) as pool:
    print(out, pool.map(abs, [-1, -2]))
"""
    for method in ("fork", "spawn"):
        # It takes long enough for output to be shown as it comes.
        shown = nb.ok(code.format(method=method), timeout=120).stdout
        assert sorted(shown.splitlines()) == lines("42 [1, 2]").splitlines(), method


def test_pip_works(nb: Notebook) -> None:
    cell = nb.ok("%%px -t 0\n%pip --version", timeout=60)
    assert "[stdout:0] pip " in cell.stdout or "pip " in cell.stdout


def test_help_is_shown_in_the_pager(nb: Notebook) -> None:
    cell = nb.ok("%%px -t 0\nlen?")
    pages = [payload for payload in cell.reply["content"]["payload"] if payload["source"] == "page"]
    assert pages and "Return the number of items" in pages[0]["data"]["text/plain"]


def test_the_launchers_environment_is_not_seen(nb: Notebook) -> None:
    code = """%%px
import os
prefixes = ("OMPI_", "PMIX_", "PMI_", "PRTE_", "HYDI_", "UCX_", "MPIR_CVAR_", "PARALLEL_PYTHON_")
print(sorted(name for name in os.environ if name.startswith(prefixes)))
"""
    may_be_set = ("UCX_", "MPIR_CVAR_", "PARALLEL_PYTHON_")
    users_own = sorted(name for name in os.environ if name.startswith(may_be_set))
    assert nb.ok(code).stdout == lines(str(users_own))


FORK = """
import os, sys
child = os.fork()
if not child:
    {}
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize(
    ("ends", "code", "said"),
    [
        ("1/0", 1, "ZeroDivisionError"),
        ("sys.exit(3)", 3, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit('no luck')", 1, "no luck"),
    ],
)
def test_what_a_fork_ends_with_is_said_and_known(nb: Notebook, ends: str, code: int, said: str) -> None:
    cell = nb.ok("%%px -t 1" + FORK.format(ends))
    assert cell.stdout == f"[stdout:1] {code}\n" and said in cell.stderr
    call = FORK.replace("\n", "\n    ").replace("print(", "return (").format(ends)
    cell = nb.ok(f"import ipyparallel as ipp\ndef fork():{call}\n")
    cell = nb.ok("ar = ipp.Client()[1].apply(fork)\nprint(ar.get(), ar.stderr)")
    assert cell.stdout.startswith(f"{code} ") and said in cell.stdout
    assert nb.ok("%px print('well')").stdout == lines("well")
