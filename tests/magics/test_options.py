"""The magics' options: what each one does, and what is said of those that are wrong.

Tests are named after their rows of ``ipyparallel-behaviour.md`` §1.
"""

from __future__ import annotations

import pytest

from notebook import Notebook, lines
from rows import usage


def test_1_01_px_takes_no_options_and_expands_nothing(nb: Notebook) -> None:
    nb.ok("y = 'local'")
    assert nb.ok("%px print('{y} $y', {1: 2})").stdout == lines("{y} $y {1: 2}")
    assert nb.ok("%px").stdout == ""
    assert "Write `%%px` with the options" in usage(nb.fails("%px -t 0 print(1)"))


def test_1_02_the_option_line_of_the_cell_magic_is_expanded(nb: Notebook) -> None:
    nb.ok("one, some = 1, [0, 2]")
    assert nb.ok("%%px -t {one}\nprint('{one}')").stdout == lines("{one}", [1])
    assert nb.ok("%%px --targets $one\nprint('$one')").stdout == lines("$one", [1])
    assert nb.ok("%%px -t {some}\nprint('here')").stdout == lines("here", [0, 2])
    assert nb.ok("%%px -t {0,1}\nprint('here')").stdout == lines("here", [0, 1])
    assert nb.ok("%pxconfig -t {some[0]}\n%px print('here')").stdout == lines("here", [0])


def test_1_10_targets_of_one_cell_are_its_own_also_after_an_error(nb: Notebook) -> None:
    nb.fails("%%px -t 1\n1/0")
    assert nb.ok("%px print('here')").stdout == lines("here")


def test_1_13_progress_after_names_who_still_runs(nb: Notebook) -> None:
    code = "from mpi4py import MPI\nimport time\nMPI.COMM_WORLD.Barrier()\ntime.sleep(0 if mpi_rank else 1.5)"
    cell = nb.ok(f"%%px --progress-after 0\n{code}")
    bars = cell.of_type("display_data", "update_display_data")
    assert all("<progress" in bar["data"]["text/html"] for bar in bars)
    texts = [bar["data"]["text/plain"] for bar in bars]
    # Engines may have ended before the first is drawn.
    assert texts[0].startswith("%px: ") and "still run" in texts[0], texts
    assert any("3/4" in text and text.endswith("engine 0 still runs") for text in texts), texts
    assert texts[-1].startswith("%px: 100%") and "4/4" in texts[-1]
    ids = {bar["transient"]["display_id"] for bar in bars}
    assert len(ids) == len(cell.of_type("display_data")) == 1, "one bar, updated in place"


def test_1_13_progress_never_and_not_in_short_cells(nb: Notebook) -> None:
    assert nb.ok("%%px --progress-after -1\nimport time\ntime.sleep(2.5)").displays == []
    assert nb.ok("%px pass").displays == []


def test_1_15_and_1_16_verbose_is_honoured_by_both(nb: Notebook) -> None:
    assert nb.ok("%%px --verbose\npass").stdout == "Parallel execution on engine(s): all\n"
    nb.ok("%pxconfig --verbose")
    assert nb.ok("%px pass").stdout == "Parallel execution on engine(s): all\n"
    assert nb.ok("%%px -t [0, 2]\npass").stdout == "Parallel execution on engine(s): [0, 2]\n"
    assert nb.ok("%%px --no-verbose\npass").stdout == ""
    nb.ok("%pxconfig --no-verbose")
    assert nb.ok("%px pass").stdout == ""


def test_1_21_local_runs_the_cell_here_as_well(nb: Notebook) -> None:
    cell = nb.ok("%%px --local\nwhere = 'here'\nprint('ran')")
    assert cell.stdout == "ran\n" + lines("ran")
    assert nb.ok("print(where)").stdout == "here\n"
    assert nb.ok("%px print(where)").stdout == lines("here")


def test_1_21_local_errors_come_first_and_do_not_stop_the_engines(nb: Notebook) -> None:
    cell = nb.fails("%%px --local\nprint('ran')\nassert 'mpi_rank' in dir()")
    assert cell.stdout == "ran\n" + lines("ran")
    assert "AssertionError" in cell.error
    cell = nb.fails("%%px --local\nimport os\nassert 'mpi_rank' not in dir()")
    assert "engines 0-3" in cell.error and cell.error.count("AssertionError") >= 1


@pytest.mark.parametrize(
    ("line", "expect"),
    [
        ("--badopt", "unrecognized arguments: --badopt"),
        (
            "--group-outputs bad",
            "argument --group-outputs: invalid choice: 'bad' (choose from 'engine', 'order', 'type')",
        ),
        ("-t", "argument -t/--targets: expected one argument"),
        ("-o", "argument -o/--out: expected one argument"),
    ],
)
def test_1_2_wrong_options_are_usage_errors(nb: Notebook, line: str, expect: str) -> None:
    cell = nb.fails(f"%%px {line}\n1")
    assert usage(cell).startswith(expect)
    assert cell.error.count("\n") <= 1, "no traceback"


def test_1_2_an_empty_body_says_what_was_meant(nb: Notebook) -> None:
    expect = "%%px is a cell magic, but the cell body is empty. Did you mean the line magic %px (single %)?"
    assert usage(nb.fails("%%px")) == expect
    assert usage(nb.fails("%%px -t 0\n  \n")) == expect


def test_1_2_prefixes_and_glued_values(nb: Notebook) -> None:
    for options in ("--target 0", "--targets=0", "-t0"):
        assert nb.ok(f"%%px {options}\nprint('here')").stdout == lines("here", [0])


def test_1_2_help_is_made_from_the_table(nb: Notebook) -> None:
    for code in ("%%px?", "%px?"):
        text = nb.ok(code).reply["content"]["payload"][0]["data"]["text/plain"]
        for option in ("--targets", "--noblock", "--group-outputs", "--progress-after", "--collapse"):
            assert option in text
        assert "cell_px" not in text


def test_1_08_the_last_of_block_and_noblock_wins(nb: Notebook) -> None:
    assert nb.ok("%%px --noblock --block\nprint('waited for')").stdout == lines("waited for")
    assert nb.ok("%%px -a -b\nprint('waited for')").stdout == lines("waited for")
    assert nb.ok("%%px --block --noblock\nprint('not')").of_type("execute_result")
    nb.ok("%pxconfig --noblock")
    assert nb.ok("%%px -b\nprint('waited for')").stdout == lines("waited for")
    assert nb.ok("%px 1").of_type("execute_result"), "the default holds for the others"


def test_1_25_many_targets_are_announced_in_short(nb: Notebook) -> None:
    """Of more than ten the first and the last four: `kernel/src/session/plan.rs` has the table."""
    assert nb.ok("%%px --verbose -t -1\npass").stdout == "Parallel execution on engine(s): 3\n"
    cell = nb.ok("%%px --verbose --noblock -t 0,2\npass")
    assert cell.stdout == "Async parallel execution on engine(s): [0, 2]\n"
