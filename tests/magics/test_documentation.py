"""Every example of ``docs/magics.md`` is run, one after the other, as by who reads it from top to bottom."""

from __future__ import annotations

import re
from pathlib import Path

from notebook import Cell, Notebook, eventually, lines

PAGE = Path(__file__).parents[2] / "docs" / "magics.md"
EXAMPLE = re.compile(r"^(?P<effect>[^\n]+)\n\n```python\n(?P<code>.*?)```", re.MULTILINE | re.DOTALL)


def test_the_examples_do_what_they_say() -> None:
    examples = {
        found["code"].rstrip("\n"): found["effect"] for found in EXAMPLE.finditer(PAGE.read_text("utf-8"))
    }
    assert len(examples) == PAGE.read_text("utf-8").count("```python")
    with Notebook(engines=4) as nb:
        cells = {code: run(nb, code) for code in examples}
        assert nb.ok("%px print('there')", timeout=60).stdout == lines("there", [0, 1]), "two fresh engines"
    by_effect = {effect: cells[code] for code, effect in examples.items()}
    for start, expected in EXPECTED.items():
        cell = next(cell for effect, cell in by_effect.items() if effect.startswith(start))
        shown = cell.stdout + "\n".join(cell.results)
        assert re.search(expected, shown), f"{start}: {shown!r}"


def run(nb: Notebook, code: str) -> Cell:
    """Run an example; once more where engines were so late that what they say alike was not shown once."""
    return eventually(
        lambda: nb.ok(code, timeout=120),
        lambda cell: "--collapse" not in code or cell.stdout.startswith("[stdout:0-3] "),
    )


#: How an example's text begins, and what is then shown.
EXPECTED = {
    "Every engine says hi": r"^\[stdout:0\] hi\n\[stdout:1\] hi\n",
    "Every second engine": r"Out\[0:\d+\]: \d+\nOut\[2:\d+\]: \d+$",
    "The sum of all ranks": r"Out\[3:\d+\]: 6$",
    "One line for all engines": r"^\[stdout:0-3\] \(3, \d+\)\n$",
    "The cell ends at once": r"AsyncResult",
    "Who needed how much": r"wall time",
    "Two lines that run": r"^%autopx enabled\n\[stdout:0\] \d+\n",
    "Two engines for a while": r"engine\(s\): \[0, 1\]\n\[stdout:0\] one of two\n\[stdout:1\] one of two\n$",
    "No progress bar": r"Out\[0:\d+\]: 42\nOut\[1",
    "… wait for it": r"^\[stdout:0\] \d+\n",
    "Where everybody is": r"engines 0-3 idle",
    "Who is there": r"engine",
}
