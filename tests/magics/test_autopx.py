"""Whole cells on the engines: `%autopx`.

Tests are named after their rows of ``ipyparallel-behaviour.md`` §1.
"""

from __future__ import annotations

from notebook import Notebook, lines


def test_1_40_autopx_says_so_and_the_first_cell_too(nb: Notebook) -> None:
    assert nb.ok("%autopx").stdout == "%autopx enabled\n"
    first, second = nb.ok("x = 1"), nb.ok("x = 2")
    assert "autopx is on" in first.results[0] and "0-3" in first.results[0]
    assert second.results == []
    assert nb.ok("%autopx").stdout == "%autopx disabled\n"


def test_1_42_autopx_of_a_view_that_does_not_block_shows_nothing(nb: Notebook) -> None:
    nb.ok("%pxconfig --noblock")
    nb.ok("%autopx")
    first = nb.ok("x = 1; print('unseen')")
    assert first.stdout == "" and first.of_type("execute_result") == []
    nb.ok("%autopx")
    assert nb.ok("%pxresult").stdout == lines("unseen")


def test_1_43_an_error_in_an_autopx_cell_is_an_error_reply(nb: Notebook) -> None:
    nb.ok("%autopx")
    cell = nb.fails("1/0")
    assert "[engines 0-3] ZeroDivisionError" in cell.error
    nb.ok("%autopx")


def test_1_44_the_rest_of_the_cell_that_switches_off_still_runs(nb: Notebook) -> None:
    nb.ok("%autopx")
    assert nb.ok("%autopx\nprint('local')").stdout == "%autopx disabled\nlocal\n"


def test_1_46_a_cell_with_await_may_be_the_first_in_autopx(nb: Notebook) -> None:
    nb.ok("%autopx")
    code = "import asyncio\nprint(await asyncio.sleep(0, 'awaited'))"
    assert nb.ok(code).stdout == lines("awaited")
    assert nb.ok("print('next')").stdout == lines("next")
    nb.ok("%autopx")


def test_1_46_and_1_56_await_in_px_cells_returns(nb: Notebook) -> None:
    assert nb.ok("%%px\nimport asyncio\nawait asyncio.sleep(0)\nprint('back')").stdout == lines("back")


def test_1_03_autopx_switches_on_and_off(nb: Notebook) -> None:
    assert nb.ok("%autopx on").stdout == "%autopx enabled\n"
    assert nb.ok("print('there')").stdout == lines("there")
    assert nb.ok("%autopx off").stdout == "%autopx disabled\n"
    assert nb.ok("print('here')").stdout == "here\n"


def test_1_41_a_cell_is_sent_as_typed_and_shown_as_under_px(nb: Notebook) -> None:
    nb.ok("%autopx")
    code = "x = '%s {y} $y'\nprint(len(In[-1]))"
    assert nb.ok(code).stdout == lines(str(len(code)))
    cell = nb.fails("x = 1\nx +")
    assert "SyntaxError" in cell.error and "[engines 0-3]" in cell.error
    assert nb.ok("print(x)").stdout == lines("%s {y} $y"), "nothing of a cell that is no Python runs"
    nb.ok("%pxconfig --no-stream -t 1:3")
    assert nb.ok("print('here')").stdout == lines("here", [1, 2])
    nb.ok("%autopx")
