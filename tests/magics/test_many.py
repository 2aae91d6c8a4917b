"""What a person with many engines needs: who is where, who costs what, the same said once, a hint."""

from __future__ import annotations

from typing import Any

from notebook import Notebook, eventually, lines

SLOW = """import time
def wait():
    time.sleep(60)
if mpi_rank != 2:
    wait()
"""


def test_a_timeout_says_where_each_engine_was(nb: Notebook) -> None:
    cell = nb.run("%%px --timeout 3\n" + SLOW, timeout=20)
    assert cell.reply["content"]["ename"] == "TimeoutError"
    assert "not done after 3 s" in cell.error
    assert "engines 0, 1, 3 in wait at line 3 of the cell: time.sleep(60)" in cell.error
    assert "KeyboardInterrupt" not in cell.error
    assert nb.ok("%%px --timeout 20\nprint('in time')").stdout == lines("in time")


def test_engines_that_wait_for_one_that_failed_are_named(nb: Notebook) -> None:
    def watch(message: dict[str, Any]) -> None:
        if message["msg_type"] == "display_data" and "raised" in str(message["content"]["data"]):
            nb.manager.interrupt_kernel()

    cell = nb.run("%%px\nimport time\nif mpi_rank == 3: 1/0\ntime.sleep(60)", timeout=30, watch=watch)
    note = next(text for text in cell.results if "raised" in text)
    assert note.startswith("engine 3 raised ZeroDivisionError while others still run:\n")
    assert "engines 0-2 at line 3 of the cell: time.sleep(60)" in note and "stop button" in note


def begun(nb: Notebook, code: str) -> None:
    """Run a cell that does not wait for its end, and return when every engine is in it."""
    reached = "open(mpi_gates[mpi_rank], 'w').close()"
    nb.ok("import os, tempfile\nfolder = tempfile.mkdtemp()\ngates = [f'{folder}/{n}' for n in range(4)]")
    nb.ok("for gate in gates: os.mkfifo(gate)")
    gates = nb.ok("print(gates)").stdout.strip()
    nb.ok(f"%px mpi_gates = {gates}")
    nb.ok(f"%%px --noblock\n{reached}\n{code}")
    nb.ok("for gate in gates: open(gate).read()")


def test_pxstack_shows_each_stack_once(nb: Notebook) -> None:
    assert nb.ok("%pxstack").results == ["engines 0-3 idle"]
    begun(nb, SLOW)
    stack = wait_for(nb, "engines 0, 1, 3 in wait at line 4 of the cell: time.sleep(60)")
    assert "    called at line 6 of the cell: wait()" in stack
    assert "\nengine 2 " in stack
    assert nb.ok("%pxstack -t 0").results[0].startswith("engine 0 in wait")
    nb.ok("%engines interrupt")


def test_pxstack_names_the_mpi_function(nb: Notebook) -> None:
    code = "comm = MPI.COMM_WORLD.Dup()\ndef solve():\n    comm.Barrier()\n"
    begun(nb, code + "comm.recv(source=2) if mpi_rank == 3 else solve() if mpi_rank != 2 else None")
    wait_for(
        nb,
        "engines 0, 1 in MPI_Barrier, called in solve at line 4 of the cell: comm.Barrier()",
        "engine 3 in MPI_Mprobe at line 5 of the cell: comm.recv",
    )
    nb.ok("%engines interrupt")
    nb.run("%pxresult")


def wait_for(nb: Notebook, *texts: str) -> str:
    """Look where the engines are until they are where they will stay; return what is shown."""
    stack = eventually(
        lambda: nb.ok("%pxstack").results[0], lambda stack: all(text in stack for text in texts)
    )
    assert all(text in stack for text in texts), stack
    return stack


def test_stats_show_what_each_engine_used(nb: Notebook) -> None:
    cell = nb.ok("%%px --stats\nimport time\ntime.sleep(2 if mpi_rank == 1 else 0)\nprint('x' * 5000)")
    table = cell.displays[-1]
    assert table["image/svg+xml"].startswith("<svg")
    rows = {row[:11].strip(): row for row in table["text/plain"].splitlines()}
    assert rows["wall time"].endswith("engine 1") and "4.9 KiB" in rows["output"]
    assert "MiB" in rows["peak memory"] and "imbalance" in table["text/plain"]


def test_collapsed_output_is_shown_once(nb: Notebook) -> None:
    # A line waits half a second for the same line of the others.
    together = "MPI.COMM_WORLD.Barrier(); "
    assert nb.ok(f"%%px --collapse\n{together}print('hi')").stdout == "[stdout:0-3] hi\n"
    cell = nb.ok(f"%%px --collapse\n{together}print('odd' if mpi_rank % 2 else 'even')\n6 * 7")
    assert cell.stdout == "[stdout:0, 2] even\n[stdout:1, 3] odd\n"
    assert (
        len(cell.results) == 1 and cell.results[0].startswith("Out[0-3") and cell.results[0].endswith(": 42")
    )
    nb.ok("%pxconfig --collapse")
    assert nb.ok(f"%px {together}print('hi')").stdout == "[stdout:0-3] hi\n"
    assert nb.ok("%%px --no-collapse\nprint('hi')").stdout == lines("hi")
    slow = f"{together}import time\nfor i in range(3):\n    print(i)\n    time.sleep(0.3)"
    assert nb.ok("%%px --collapse\n" + slow).stdout.count("[stdout:0-3]") >= 1


def test_a_name_that_only_the_notebook_has(nb: Notebook) -> None:
    """The hint stands before the error, once; nobody is told what is not so."""
    nb.ok("import math as m\nx, spare = 5, 6")
    assert nb.fails("%px print(nowhere)").results == []
    assert nb.fails("%%px\ndef f(): return m_of_f\nf.m_of_f = 1\n1/0").results == []
    assert nb.fails("%px In_").results == []
    # A hint that comes too late is not shown, and shown another time.
    cell = eventually(lambda: nb.fails("%%px\nprint(x)"), lambda cell: cell.results)
    assert cell.results == [
        "Hint: `x` is only defined in the notebook: `rc[:].push(dict(x=x))` or `%%px --local`."
    ]
    assert nb.fails("%px print(spare)").results == [], "once"


def test_a_module_that_only_the_notebook_has_imported() -> None:
    with Notebook(engines=2) as nb:
        nb.ok("import xml.dom as dom", timeout=120)
        nb.ok("%%px -t 0\nimport xml.dom as dom", timeout=120)
        expect = "Hint: `dom` is imported in the notebook, not on engine 1: `%px import xml.dom as dom`."
        code = "if True:\n    %px dom.Node"
        cell = eventually(lambda: nb.fails(code), lambda cell: cell.results)
        assert cell.results[-1] == expect, "also where code calls the magic"


def test_at_many_engines_the_hint_at_collapse_comes_once() -> None:
    with Notebook(engines=17) as nb:
        hint = [text for text in nb.ok("%px print('hi')", timeout=240).results if "--collapse" in text]
        assert len(hint) == 1
        assert nb.ok("%px print('hi')").results == []
        assert nb.ok("%%px --collapse --no-stream\nprint('hi')").stdout == "[stdout:0-16] hi\n"
