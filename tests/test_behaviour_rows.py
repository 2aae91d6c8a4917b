"""Every row of ``ipyparallel-behaviour.md`` §2 to §6 that users meet has a test that is named after it.

A test names its rows: ``test_3_43_to_46_…`` rows 43 to 46 of §3, ``test_2_30_and_5_02_…`` one of each.
`magics/test_rows.py` does the same for §1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TEST = re.compile(r"^\s*(?:async )?def test_(\d_\d\d\w*)\(", re.MULTILINE)
STEP = re.compile(r"(?:(?P<joint>and|to)_)?(?:(?P<section>\d)_)?(?P<row>\d\d)(?:_|$)")

#: How many rows each section has, and which of them are rare: legacy, or for administrators.
SECTIONS = {2: 35, 3: 54, 4: 28, 5: 30, 6: 8}
RARE = {
    2: {32, 33, 34, 35},
    3: {14, 27, 31, 42, 52, 53},
    4: {24, 25},
    5: {10, 20, 25},
    6: set[int](),
}


def rows_of(name: str) -> Iterator[tuple[int, int]]:
    """Give the rows that a test's name begins with."""
    section, last, position = 0, 0, 0
    while step := STEP.match(name, position):
        position = step.end()
        section, row = int(step["section"] or section), int(step["row"])
        for number in range(last + 1 if step["joint"] == "to" else row, row + 1):
            yield section, number
        last = row


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("4_01_get", [(4, 1)]),
        ("2_11_and_12_wait", [(2, 11), (2, 12)]),
        ("3_43_to_46_functions", [(3, 43), (3, 44), (3, 45), (3, 46)]),
        ("2_30_and_5_02_start", [(2, 30), (5, 2)]),
        ("5_06", [(5, 6)]),
        ("4_13_and_26_to_28_some_99_bottles", [(4, 13), (4, 26), (4, 27), (4, 28)]),
    ],
)
def test_what_a_name_says(name: str, rows: list[tuple[int, int]]) -> None:
    assert list(rows_of(name)) == rows


@pytest.mark.parametrize("section", SECTIONS)
def test_every_row_has_a_test(section: int) -> None:
    files = Path(__file__).parent.rglob("test_*.py")
    named = {row for file in files for name in TEST.findall(file.read_text("utf-8")) for row in rows_of(name)}
    wanted = set(range(1, SECTIONS[section] + 1)) - RARE[section]
    missing = sorted(row for row in wanted if (section, row) not in named)
    assert not missing, f"no test names rows {', '.join(f'{section}.{row:02}' for row in missing)}"
