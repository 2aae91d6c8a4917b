"""The tutorial, cell by cell, at four engines: what a notebook shows is what the tutorial shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from notebook import Cell, Notebook, lines

PI = Path(__file__).resolve().parents[2] / "docs" / "PrintPi.py"


@pytest.fixture(scope="module")
def tutorial() -> Iterator[dict[int, Cell]]:
    """Every cell of the tutorial, run in order in one kernel."""
    with Notebook(engines=4) as nb:
        nb.ok("%px pass", timeout=120)
        nb.ok(f"import os; os.chdir({str(PI.parent)!r})")
        yield {number: nb.run(code, timeout=120) for number, code in CELLS.items()}


CELLS = {
    1: "import ipyparallel as ipp\nrc = ipp.Client(profile='mpi')",
    2: "rc.ids",
    3: "rc = ipp.Client(profile='mpi')",
    4: "rc.ids",
    5: "dview = rc[:]\ndview.block=True\ndview.push(dict(foo='bar'), block=True);",
    6: "dview.pull('foo')",
    7: "dview.pull('foo', targets=0)",
    8: "ar=dview.pull('foo', block=False)\nar.get()",
    9: "dview['bar']='foo'",
    10: "dview['bar']",
    11: "data=[0, 1, 2, 3, 4, 5, 6, 7]\ndview.scatter('a',data, block=True)",
    12: "dview['a']",
    13: "dview.gather('a').get()",
    14: "dview['a'] = 5\ndview.apply(lambda x: a*x, 3)",
    15: "ar=dview.execute('print(\"hi\")')\nar.display_outputs()",
    16: "ar=dview.run('PrintPi.py')\nar.display_outputs()",
    17: "%px print('hi')",
    18: "ar=rc[:].execute('print(\"hi\")')\nar.display_outputs()",
    19: "%%px\nimport math\nF=2.0*math.sin(0.25*math.pi)\nprint(F)",
}

BARS = "['bar', 'bar', 'bar', 'bar']"
RESULTS = {
    2: "[0, 1, 2, 3]",
    4: "[0, 1, 2, 3]",
    6: BARS,
    7: "'bar'",
    8: BARS,
    10: BARS.replace("bar", "foo"),
    12: "[[0, 1], [2, 3], [4, 5], [6, 7]]",
    13: "[0, 1, 2, 3, 4, 5, 6, 7]",
    14: "[15, 15, 15, 15]",
}
TEXTS = {
    15: lines("hi"),
    16: lines("3.141592653589793"),
    17: lines("hi"),
    18: lines("hi"),
    19: lines("1.414213562373095"),
}


def results(cell: Cell) -> list[str]:
    """Return what a cell gives: a bar comes besides where the machine is slow."""
    return [text for text in cell.results if not text.startswith("%px: ")]


@pytest.mark.parametrize("number", CELLS)
def test_0_cell(tutorial: dict[int, Cell], number: int) -> None:
    cell = tutorial[number]
    assert cell.status == "ok", cell.error
    assert results(cell) == ([RESULTS[number]] if number in RESULTS else [])
    assert cell.stdout == TEXTS.get(number, "") and cell.stderr == ""


def test_0_with_eight_engines_until_they_are_four() -> None:
    with Notebook(engines=8) as nb:
        nb.ok("%px pass", timeout=120)
        nb.ok(f"import os; os.chdir({str(PI.parent)!r})")
        for number, code in CELLS.items():
            cell = nb.run("%engines restart -n 4\n" + code if number == 3 else code, timeout=120)
            assert cell.status == "ok", cell.error
            if number == 2:
                assert cell.results == ["[0, 1, 2, 3, 4, 5, 6, 7]"]
            elif number != 3:
                assert results(cell) == ([RESULTS[number]] if number in RESULTS else [])
                assert cell.stdout == TEXTS.get(number, "")
