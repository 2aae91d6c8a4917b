"""Results as sequences: items, slices, iteration, parts. Numbers are rows of the reference."""

from __future__ import annotations

import concurrent.futures
import time

import pytest

import parallel_python as ipp
from parallel_python.client.client import Client
from parallel_python.client.part import Part
from parallel_python.engine import operations
from twin import Twin


def rank() -> int:
    found: int = operations.main_namespace()["mpi_rank"]
    return found


def fail_on(engines: list[int]) -> int:
    if rank() in engines:
        raise ValueError(f"engine {rank()}")
    return rank()


def test_4_13_values_come_before_all_are_done(rc: Client, twin: Twin) -> None:
    twin.hold(3)
    result = rc[:].apply(rank)
    values = iter(result)
    assert [next(values) for _ in range(3)] == [0, 1, 2] and not result.done()
    twin.release()
    assert list(values) == [3]


@pytest.mark.parametrize("done", [True, False])
def test_4_13_and_26_what_fails_is_raised_as_several(rc: Client, twin: Twin, done: bool) -> None:
    twin.hold(3)
    for result in (rc[:].apply(fail_on, [0, 1]), rc[:].map(lambda n: 1 // (n > 1), range(4))):
        if done:
            twin.release()
            result.wait()
        with pytest.raises(ipp.CompositeError, match="one or more exceptions raised in: ") as caught:
            list(result)
        assert [error[3]["engine_id"] for error in caught.value.elist] == ([0, 1] if done else [0])


def test_4_13_exceptions_take_the_place_of_values(rc: Client) -> None:
    view = rc[:]
    result = ipp.AsyncResult(rc, view.apply(fail_on, [1])._parts, "f", [0, 1, 2, 3], return_exceptions=True)
    values = list(result)
    assert values[0] == 0 and values[2:] == [2, 3] and isinstance(values[1], ipp.RemoteError)


def test_4_14_items(rc: Client) -> None:
    result = rc[:].apply(rank)
    result.wait()
    assert (result[0], result[-1], result[1:3], result[::-1]) == (0, 3, [1, 2], [3, 2, 1, 0])
    with pytest.raises(IndexError):
        result[4]
    single = rc[0].apply(lambda: [10, 20, 30])
    single.wait()
    assert (single[1], single[-1], single[:2]) == (20, 30, [10, 20])
    failed = rc[:].apply(fail_on, [1, 2])
    failed.wait()
    for key in (0, slice(0, 1)):
        with pytest.raises(ipp.CompositeError) as caught:
            failed[key]
        assert len(caught.value.elist) == 2


def test_4_26_behind_the_loop_the_result_is_done(rc: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    note_done = Client._note_done

    def note_late(self: Client, part: Part) -> None:
        """Leave the processor to whoever waited for the part."""
        time.sleep(0.05)
        note_done(self, part)

    monkeypatch.setattr(Client, "_note_done", note_late)
    pending = rc[:].apply(int)
    assert list(pending) == [0] * 4
    assert pending.done() and pending[3] == 0


def test_4_26_iterating_gives_what_get_gives(rc: Client, twin: Twin) -> None:
    numpy = pytest.importorskip("numpy")
    view = rc[:]
    view.execute("d = {mpi_rank: 1}; l = [mpi_rank] * 2; t = (mpi_rank,)", block=True)
    view.scatter("n", range(4), flatten=True, block=True)
    view.push({"a": numpy.arange(2)}, block=True)
    for name in "dltna":
        for wait in (True, False):
            result = view.gather(name, block=False)
            if wait:
                result.wait()
            assert list(result) == list(result.get()), name


def test_4_26_unordered(rc: Client, twin: Twin) -> None:
    """What is done comes first, though what is not was asked for before it."""
    twin.hold(0)
    result = rc.load_balanced_view().map(str, range(4), ordered=False)
    values = iter(result)
    first = [next(values) for _ in range(3)]
    assert not result.done()
    twin.release()
    assert sorted(first) == ["1", "2", "3"] and list(values) == ["0"]


def test_4_04_the_same_results_each_time(rc: Client, twin: Twin) -> None:
    twin.hold(2, 3)
    result = rc[:].apply(rank)
    first = concurrent.futures.FIRST_COMPLETED
    seen: set[ipp.AsyncResult] = set()
    concurrent.futures.wait(result.split()[:2])
    done, pending = result.wait(30, return_when=first)
    assert sorted(part.get() for part in done) == [0, 1] and len(pending) == 2
    seen |= done
    twin.release()
    done, pending = result.wait(30, return_when=concurrent.futures.ALL_COMPLETED)
    assert sorted(part.get() for part in done - seen) == [2, 3] and not pending
    assert set(result.split()) == done
    single = rc[0].apply(int)
    assert single.split() == (single,) and ipp.AsyncResult.join(single) is single


def test_4_22_parts_keep_that_exceptions_are_values(rc: Client) -> None:
    failing = rc[:].map(lambda n: 1 // n, range(4), return_exceptions=True)
    parts = failing.split()
    assert isinstance(parts[0].get()[0], ipp.RemoteError) and parts[1].get() == [[1]]
    assert isinstance(ipp.AsyncResult.join(*parts).get()[0], ipp.RemoteError)


def test_4_22_parts_of_a_map_are_results_of_lists(rc: Client) -> None:
    parts = rc.load_balanced_view().map_async(abs, range(5), chunksize=2).split()
    assert [part.get() for part in parts] == [[[0, 1]], [[2, 3]], [[4]]]
    assert parts[0][0] == [0, 1] and list(parts[0]) == [[0, 1]] and len(parts[0]) == 1
    assert [part.get() for part in rc[:].apply(abs, -1).split()] == [1] * 4
    whole = rc[:2].map(abs, range(4))
    assert ipp.AsyncResult.join(*whole.split()).get() == [[0, 1], [2, 3]]
    assert whole.get() == [0, 1, 2, 3]


def test_4_03_a_map_by_engine(rc: Client) -> None:
    assert rc[:3].map(abs, range(6)).get_dict() == {0: [0, 1], 1: [2, 3], 2: [4, 5]}
    assert rc[:3].map(abs, range(4)).result_dict == {0: [0, 1], 1: [2], 2: [3]}
    rc[:].scatter("flat", range(4), flatten=True, block=True)
    assert rc[:].gather("flat", block=False).get_dict() == {0: 0, 1: 1, 2: 2, 3: 3}
    rc[:].push({"one": [1]}, block=True)
    assert rc[:].gather("one", block=False).get_dict() == {rank: [1] for rank in range(4)}
    failing = rc[:2].map(lambda n: 1 // n, [0, 1], return_exceptions=True).get_dict()
    assert isinstance(failing[0], ipp.RemoteError) and failing[1] == [1]
    with pytest.raises(ipp.CompositeError):
        rc[:2].map(lambda n: 1 // n, [0, 1]).get_dict()
    with pytest.raises(ValueError, match="2 jobs ran on engine #1"):
        rc.load_balanced_view([1]).map(abs, [1, 2]).get_dict()
    assert rc[2].apply(abs, -1).get_dict() == {2: 1}
    assert ipp.AsyncResult(rc, rc[:2].apply(abs, -1)._parts, "abs", [0, 1]).get_dict() == {0: 1, 1: 1}


def test_4_01_exceptions_as_values_are_waited_for(rc: Client, twin: Twin) -> None:
    twin.hold(2, 3)
    result = rc[:].apply(fail_on, [0, 1])
    first = concurrent.futures.FIRST_EXCEPTION
    with pytest.raises(ipp.CompositeError):
        result.get(30, return_when=first)
    with pytest.raises(TimeoutError):
        result.get(0, return_exceptions=True, return_when=first)
    twin.release()
    values = result.get(30, return_exceptions=True, return_when=first)
    assert [type(value) for value in values] == [ipp.RemoteError, ipp.RemoteError, int, int]
