"""`Dependency`, as it is asked before anything is sent. Numbers are rows of the reference."""

from __future__ import annotations

import pytest

import parallel_python as ipp

A, B = "a_1", "b_2"


@pytest.mark.parametrize(
    ("options", "completed", "failed", "met", "unreachable"),
    [
        ({}, [], [], False, False),
        ({}, [A], [], False, False),
        ({}, [A, B], [], True, False),
        ({}, [A], [B], False, True),
        ({"all": False}, [A], [], True, False),
        ({"all": False}, [], [A], False, False),
        ({"all": False}, [], [A, B], False, True),
        ({"success": False, "failure": True}, [], [A, B], True, False),
        ({"success": False, "failure": True}, [A], [B], False, True),
        ({"failure": True}, [A], [B], True, False),
    ],
)
def test_3_49_when_it_is_met(
    options: dict[str, bool], completed: list[str], failed: list[str], met: bool, unreachable: bool
) -> None:
    dependency = ipp.Dependency([A, B], **options)
    assert dependency.check(completed, failed) is met
    assert dependency.unreachable(completed, failed) is unreachable


def test_3_49_what_it_is_made_of() -> None:
    both = ipp.Dependency([A, B], all=False)
    assert isinstance(both, set) and both == {A, B} and ipp.Dependency(A) == {A}
    again = ipp.Dependency(both.as_dict())
    assert again == both and (again.all, again.success, again.failure) == (False, True, False)
    assert ipp.Dependency().check([]) and not ipp.Dependency().unreachable([])
    with pytest.raises(ValueError, match="at least one of successes or failures"):
        ipp.Dependency(A, success=False)
    with pytest.raises(TypeError, match="Invalid dependency: 3"):
        ipp.Dependency([3])
