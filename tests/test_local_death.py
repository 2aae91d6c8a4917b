"""The notebook's own Python dies in the middle of a cell: the cell says so, and the notebook goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from notebook import Notebook, lines

# How it dies, what is said of it, and the line that must be named.
DEATHS = {
    "segfault": ("import ctypes; ctypes.string_at(0)", "was killed by signal 11 (SIGSEGV)"),
    "abort": ("import os; os.abort()", "was killed by signal 6 (SIGABRT)"),
    "exit": ("import os; os._exit(3)", "exited with code 3"),
    "killed": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was killed by signal 9 (SIGKILL)"),
}


@pytest.mark.parametrize("how", DEATHS)
def test_the_cell_says_how_and_where_and_the_next_one_runs(nb: Notebook, how: str) -> None:
    death, words = DEATHS[how]
    nb.ok("%px kept = 'kept'")
    nb.ok("mine = 1")
    before = nb.ok("import os; os.getpid()")
    cell = nb.run(f"def fatal():\n    print('last words', flush=True)\n    {death}\n\nfatal()", timeout=30)
    assert cell.status == "error"
    assert cell.reply["content"]["ename"] == "LocalProcessError"
    # What killed it may have left it no time for a word: the statement is known all the same.
    assert f"{words} in line 5 of cell {before.count + 1}: `fatal()`." in cell.error
    assert cell.stdout == "last words\n"
    if how != "killed":
        assert "line 3 in fatal" in cell.error, cell.error
    # A new one, whose count goes on; the engines are untouched.
    after = nb.ok("import os; os.getpid()")
    assert after.results != before.results
    assert cell.reply["content"]["execution_count"] == before.count + 1
    assert after.count == before.count + 2
    assert nb.ok("In[-3]").results == [repr(cell.code)]
    assert nb.fails("mine").reply["content"]["ename"] == "NameError"
    assert nb.ok("%px print(kept)").stdout == lines("kept")


def test_the_place_is_the_cells_own(nb: Notebook, tmp_path: Path) -> None:
    """Neither code that the cell runs elsewhere nor a statement that is over counts."""
    script = tmp_path / "script.py"
    script.write_text("a = 1\n" * 20 + "import os; os.kill(os.getpid(), 9)\n")
    cell = nb.run(f"\n\nx = 1\nfor _ in range(3):\n    %run {script}\n")
    assert f"in line 2 of cell {cell.count}: `for _ in range(3):`" in cell.error


def test_cells_behind_the_dying_one_are_aborted(nb: Notebook) -> None:
    requests = [
        nb.send(code) for code in ("import os; os._exit(1)", "print('not run')", "%px print('not run')")
    ]
    cells = [nb.collect(request) for request in requests]
    assert [cell.status for cell in cells] == ["error", "aborted", "aborted"]
    assert nb.ok("print('run')").stdout == "run\n"


def test_death_inside_a_nested_px(nb: Notebook) -> None:
    cell = nb.run("import os\nfor i in range(3):\n    %px print('hi')\n    if i == 1:\n        os._exit(4)")
    assert cell.status == "error"
    assert cell.stdout == 2 * lines("hi")
    assert nb.ok("%px print('next')").stdout == lines("next")


def test_death_while_nothing_runs(nb: Notebook) -> None:
    """A thread that a cell left ends the process: the next cell finds a new one."""
    nb.ok(
        "import os, threading\n"
        "timer = threading.Timer(0.1, lambda: os.kill(os.getpid(), 9)); timer.start()\n"
        "pid = os.getpid()"
    )
    # This cell runs in either, or meets the death itself; the one after it is in the new process.
    nb.run("import time; time.sleep(1)")
    assert nb.fails("pid").reply["content"]["ename"] == "NameError"


def test_a_user_who_quits_ends_the_kernel_cleanly() -> None:
    with Notebook(engines=1, arguments=["--engines", "lazy"]) as nb:
        cell = nb.run("quit")
        assert cell.status == "ok"
        assert cell.reply["content"]["payload"] == [{"source": "ask_exit", "keepkernel": False}]
