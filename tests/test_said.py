"""The comparison of what engines print tolerates another order of engines, and nothing else."""

from __future__ import annotations

import pytest

from notebook import Notebook, lines
from said import OPENING, Said


@pytest.mark.parametrize(
    ("said", "expected", "same"),
    [
        ("[stdout:1] hi\n[stdout:0] hi\n", lines("hi", [0, 1]), True),
        ("here\n[stdout:1] \na\nb\n[stdout:0] a\n", "here\n[stdout:0] a\n[stdout:1] \na\nb\n", True),
        ("[stdout:10] hi\n[stdout:2-4] hi\n", "[stdout:2-4] hi\n[stdout:10] hi\n", True),
        ("[stdout:1] hi\n", lines("hi", [0, 1]), False),
        ("[stdout:0] hi\n[stdout:0] hi\n[stdout:1] hi\n", lines("hi", [0, 1]), False),
        ("[stdout:0] b\n[stdout:1] a\n[stdout:0] a\n", "[stdout:0] a\n[stdout:0] b\n[stdout:1] a\n", False),
        ("[stdout:1] a\n[stdout:0] b\n", "[stdout:0] a\n[stdout:1] b\n", False),
    ],
)
def test_what_is_the_same(said: str, expected: str, same: bool) -> None:
    late = Said(said, in_order=False)
    assert (late == expected) is (expected == late) is same
    assert (late != expected) is not same
    assert Said(said, in_order=True) != expected
    assert Said(expected, in_order=True) == expected


def test_short_cells_are_compared_strictly(nb: Notebook) -> None:
    assert any(nb.ok("%px pass").stdout.in_order for _ in range(50))
    assert not nb.ok(f"%px import time; time.sleep({OPENING})").stdout.in_order
