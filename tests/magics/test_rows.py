"""Every row of ``ipyparallel-behaviour.md`` §1 has a test that is named after it."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
NAME = re.compile(r"^def (test_1_\d\d\w*)\(", re.MULTILINE)


def test_every_row_is_tested() -> None:
    names = [name for path in HERE.glob("test_*.py") for name in NAME.findall(path.read_text("utf-8"))]
    rows = {int(row) for name in names for row in re.findall(r"1_(\d\d)(?=_|$)", name)}
    assert set(range(1, 57)) - rows == set()
