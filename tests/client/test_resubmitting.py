"""Tasks submitted once more, on engines of the test's own. Numbers are rows of the reference."""

from __future__ import annotations

import pickle

import pytest

import parallel_python as ipp
from parallel_python.client.client import Client
from parallel_python.engine import operations


def runs() -> tuple[int, int]:
    """Return the engine's number, and how often it has been asked."""
    space = operations.main_namespace()
    space["runs"] = space.get("runs", 0) + 1
    return space["mpi_rank"], space["runs"]


def test_2_26_a_part_runs_on_its_engine_alone(rc: Client) -> None:
    result = rc[:].apply(runs)
    assert result.get() == [(0, 1), (1, 1), (2, 1), (3, 1)]
    again = rc.resubmit(result.msg_ids[1])
    assert isinstance(again, ipp.AsyncHubResult) and again.get() == [(1, 2)] and len(again.msg_ids) == 1
    assert rc.resubmit([result.msg_ids[3], result.msg_ids[0]]).get() == [(3, 2), (0, 2)]
    assert rc[:].apply(runs).get() == [(0, 3), (1, 3), (2, 2), (3, 3)]


def test_2_26_parts_of_several_tasks_come_in_the_order_of_their_ids(rc: Client) -> None:
    one, two = rc[:2].apply(int, 1), rc[:2].apply(int, 2)
    asked = [two.msg_ids[1], one.msg_ids[0], two.msg_ids[0]]
    assert rc.resubmit(asked).get() == [2, 1, 2]
    assert rc.resubmit([one, two.msg_ids[0]]).get() == [1, 1, 2]
    assert rc.resubmit([-1, -1]).get() == [2, 2]


def test_2_26_the_last_one_and_whole_tasks(rc: Client) -> None:
    result = rc[:].apply(runs)
    result.get()
    assert rc.resubmit().get() == [(3, 2)]
    assert [rank for rank, _ in rc.resubmit(result).get()] == [0, 1, 2, 3]
    name = result.msg_ids[0].partition("@")[0]
    assert [rank for rank, _ in rc.resubmit(name).get()] == [0, 1, 2, 3]
    balanced = rc.load_balanced_view([2]).apply(runs)
    balanced.get()
    [(rank, _)] = rc.resubmit(balanced.msg_ids[0], block=True).get()
    assert rank == 2
    code = rc[1].execute("runs = 40")
    code.get()
    assert rc.resubmit(code, block=True).execute_input == ["runs = 40"] and rc[1].apply_sync(runs) == (1, 41)


@pytest.mark.parametrize("kind", [ipp.RemoteError, KeyError])
def test_2_26_what_cannot_be_submitted_again(rc: Client, kind: type[Exception]) -> None:
    known = rc[:2].apply(int).msg_ids[0]
    for unknown in ("invalid", f"{known.partition('@')[0]}@3"):
        with pytest.raises(kind, match=f"task '{unknown}' cannot be submitted again") as raised:
            rc.resubmit([known, unknown])
        assert raised.value.ename == "KeyError"  # type: ignore[attr-defined]
        assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)
