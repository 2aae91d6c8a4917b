"""Sets of magics: their defaults, and the views they belong to.

Tests are named after their rows of ``ipyparallel-behaviour.md`` §1.
"""

from __future__ import annotations

from notebook import Notebook, lines
from rows import ACTIVATE, usage


def test_1_05_pxconfig_is_sticky_and_silent(nb: Notebook) -> None:
    cell = nb.ok("%pxconfig --targets ::2")
    assert (cell.stdout, cell.stderr, cell.displays) == ("", "", [])
    assert nb.ok("%pxconfig").stdout == ""
    assert nb.ok("%px print('here')").stdout == lines("here", [0, 2])
    assert nb.ok("%%px -t 1\nprint('here')").stdout == lines("here", [1])
    assert nb.ok("%px print('here')").stdout == lines("here", [0, 2])


def test_1_07_a_set_with_a_suffix_has_magics_of_its_own(nb: Notebook) -> None:
    nb.ok(ACTIVATE.format(targets="[0, 2]", suffix="_some"))
    assert nb.ok("%px_some print('here')").stdout == lines("here", [0, 2])
    assert nb.ok("%%px_some -t 1\nprint('here')").stdout == lines("here", [1])
    assert nb.ok("%px print('here')").stdout == lines("here")
    nb.ok("%pxconfig_some --verbose -t 3")
    assert nb.ok("%px_some pass").stdout == "Parallel execution on engine(s): 3\n"
    assert nb.ok("%px pass").stdout == ""
    assert nb.ok("for i in [1]:\n    %px_some print('nested')").stdout.endswith(lines("nested", [3]))
    magics = "get_ipython().magics_manager.magics"
    assert nb.ok(f"print({magics}['cell']['px_some'].__self__.view.client is rc)").stdout == "True\n"
    assert (
        nb.ok(f"print('px_some' in {magics}['line'], 'result_some' in {magics}['line'])").stdout
        == "True False\n"
    )


def test_1_07_the_magics_follow_their_view(nb: Notebook) -> None:
    nb.ok(ACTIVATE.format(targets="[0, 2]", suffix="_mine"))
    nb.ok("view.targets = [1]")
    assert nb.ok("%px_mine print('here')").stdout == lines("here", [1])
    nb.ok("dview = rc[:]\ndview.block = True\ndview.activate()\ndview.targets = [1, 3]")
    assert nb.ok("%px print('here')").stdout == lines("here", [1, 3])
    nb.ok("rc.activate()")
    assert nb.ok("%px print('here')").stdout == lines("here")
    assert nb.ok("print(get_ipython().magics_manager.magics['cell']['px'].__self__.view)").stdout == (
        "<DirectView all>\n"
    )


def test_1_45_a_suffixed_autopx_is_switched_off_by_its_own_name(nb: Notebook) -> None:
    nb.ok(ACTIVATE.format(targets="[1]", suffix="_one"))
    assert nb.ok("%autopx_one").stdout == "%autopx_one enabled\n"
    assert nb.ok("print('here')").stdout == lines("here", [1])
    assert nb.ok("%autopx_one\nprint('local')").stdout == "%autopx_one disabled\nlocal\n"
    nb.ok("%autopx_one")
    assert nb.ok("%autopx").stdout == "%autopx_one disabled\n"


def test_1_2_pxresult_before_any_run(nb: Notebook) -> None:
    nb.ok(ACTIVATE.format(targets="[0]", suffix="_new"))
    expect = "%pxresult_new recalls last %px_new result, which has not yet been used."
    assert usage(nb.fails("%pxresult_new")) == expect


def test_1_05_pxconfig_changes_the_view_that_is_active(nb: Notebook) -> None:
    nb.ok(
        ACTIVATE.format(targets="'all'", suffix="")
        + ACTIVATE.format(targets="[0, 1]", suffix="_two").strip().splitlines()[-1].replace("view", "\ntwo")
    )
    for typed, expect in [
        ("1:3", "[1, 2]"),
        ("-1", "-1"),
        ("[0, 2]", "[0, 2]"),
        ("range(2)", "[0, 1]"),
        ("all", "'all'"),
    ]:
        nb.ok(f"%pxconfig -t {typed}")
        assert nb.ok("print(repr(view.targets), view.block)").stdout == f"{expect} True\n"
    nb.ok("%pxconfig_two -t 3 --noblock")
    assert nb.ok("print(two.targets, two.block, view.targets)").stdout == "3 False all\n"
    # Also where a cell goes on after it.
    assert (
        nb.ok("if True:\n    %pxconfig_two -t 2 --block\n    print(two.targets, two.block)").stdout
        == "2 True\n"
    )
    assert nb.ok("print(two.apply_sync(lambda: mpi_rank))").stdout == "2\n"
    # What was said last counts, wherever it was said.
    nb.ok("two.targets = [1]")
    assert nb.ok("%px_two print('here')").stdout == lines("here", [1])
    assert nb.ok("%px print('here')").stdout == lines("here")
