"""What is purged by which number, on engines of the test's own. Numbers are rows of the reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from parallel_python.client.client import Client
from twin import Twin

PURGES: list[Callable[..., None]] = [
    Client.purge_local_results,
    Client.purge_hub_results,
    Client.purge_results,
]


@pytest.mark.parametrize("first", [0, [0], -4])
def test_2_29_the_first_of_the_history(rc: Client, twin: Twin, first: Any) -> None:
    twin.hold(0, 1, 2, 3)
    result = rc[:].apply(int)
    result.owner = False
    twin.release()
    result.wait()
    rc.purge_results(jobs=first)
    assert list(rc.metadata) == result.msg_ids[1:]
    assert [name for name, _ in twin.forgotten] == result.msg_ids[:1]


@pytest.mark.parametrize(("targets", "left"), [(0, [1, 2, 3]), ([1, 3], [0, 2]), (slice(1, 4), [0])])
def test_2_29_what_engines_did(rc: Client, twin: Twin, targets: Any, left: list[int]) -> None:
    twin.hold(0, 1, 2, 3)
    result = rc[:].apply(int)
    result.owner = False
    twin.release()
    result.wait()
    rc.purge_local_results(targets=targets)
    assert list(rc.metadata) == [result.msg_ids[rank] for rank in left]


@pytest.mark.parametrize("purge", PURGES)
@pytest.mark.parametrize("jobs", [(), [], None, set()])
@pytest.mark.parametrize("targets", [(), [], None, range(0)])
def test_2_29_nothing_is_said(rc: Client, purge: Callable[..., None], jobs: Any, targets: Any) -> None:
    with pytest.raises(ValueError, match="at least one of `targets` and `jobs`"):
        purge(rc, jobs, targets)
