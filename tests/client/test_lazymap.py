"""Lazy maps and executors: what is under way, what comes next. Numbers are rows of the reference."""

from __future__ import annotations

import itertools
import pickle
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

import parallel_python as ipp
from parallel_python.client.client import Client
from parallel_python.view.balanced import LoadBalancedView
from parallel_python.view.executor import ViewExecutor
from twin import Twin

DONE: list[int] = []


def note(n: int) -> int:
    DONE.append(n)
    return n


@pytest.fixture(autouse=True)
def empty() -> None:
    DONE.clear()


class Source:
    """Numbers without end, of which it is known how many were read."""

    def __init__(self) -> None:
        self.read = 0
        self.changed = threading.Condition()

    def __iter__(self) -> Iterator[int]:
        for n in itertools.count():
            with self.changed:
                self.read = n + 1
                self.changed.notify_all()
            yield n

    def wait_for(self, n: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.read >= n, 30), self.read


def test_3_54_a_map_that_nobody_takes_runs_whole(rc: Client) -> None:
    with rc.executor() as executor:
        executor.map(note, (n for n in range(100)))
    assert sorted(DONE) == list(range(100))


def test_3_54_a_map_of_all_engines_is_waited_for(rc: Client, twin: Twin) -> None:
    with rc[:].executor as executor:
        executor.map(note, range(8))
    assert sorted(DONE) == list(range(8))


def test_3_54_shutdown_waits_and_a_view_can_be_used_again(rc: Client, twin: Twin) -> None:
    view = rc.load_balanced_view()
    for turn in range(2):
        twin.hold(0)
        with view.executor as executor:
            assert executor is view.executor
            results = [executor.submit(note, turn) for _ in range(8)]
            values = executor.map(str, range(8))
            threading.Timer(0.05, twin.release).start()
        assert all(result.done() for result in results) and list(values) == list("01234567")
    assert view.executor.submit(int, 3).result() == 3 and rc.ids == [0, 1, 2, 3]


def test_3_54_shutdown_that_does_not_wait(rc: Client, twin: Twin) -> None:
    twin.hold(0, 1, 2, 3)
    executor = rc.executor()
    result, values = executor.submit(note, 1), executor.map(note, range(50))
    [feed] = executor._feeds
    with feed._changed:
        assert feed._changed.wait_for(lambda: len(feed._unfinished) == 4, 30)
    executor.shutdown(wait=False, cancel_futures=True)
    twin.release()
    with pytest.raises(ipp.TaskAborted):
        result.get()
    assert list(values) == [] and DONE == []


def test_3_54_a_timeout_is_not_kept(rc: Client) -> None:
    with pytest.warns(UserWarning, match="timeout unsupported"):
        assert list(rc.executor().map(str, range(3), timeout=1)) == list("012")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(rc.executor().map(str, range(3), timeout=None)) == list("012")


def test_3_54_what_a_map_raises(rc: Client) -> None:
    with pytest.raises(ipp.RemoteError, match="ZeroDivisionError"), rc.executor() as executor:
        list(executor.map(lambda n: 1 // n, [1, 0, 1]))


@pytest.mark.parametrize(("size", "tasks"), [(1, 7), (2, 4), (3, 3), (50, 1), (0, 7), (None, 7)])
def test_3_54_and_33_so_many_calls_in_a_task(rc: Client, size: int | None, tasks: int) -> None:
    view = rc.load_balanced_view()
    assert list(view.executor.map(pow, range(7), itertools.repeat(2), chunksize=size)) == [
        n * n for n in range(7)
    ]
    assert len(view.history) == tasks
    assert view.map_sync(abs, range(7), chunksize=size) == list(range(7)) and len(view.history) == 2 * tasks
    assert view.parallel(block=True, chunksize=size)(abs).map(range(7)) == list(range(7))
    assert view.parallel(block=True, chunksize=size)(list)(range(7)) == list(range(7))
    assert list(rc[:].executor.map(abs, range(7), chunksize=size)) == list(range(7))


def test_3_54_a_chunk_that_fails(rc: Client) -> None:
    view = rc.load_balanced_view()
    values = list(view.executor.map(lambda n: 1 // n, [1, 0, 1, 1], chunksize=2, return_exceptions=True))
    assert isinstance(values[0], ipp.RemoteError) and values[1:] == [1, 1]
    with pytest.raises(ipp.RemoteError, match="ZeroDivisionError"):
        list(view.executor.map(lambda n: 1 // n, [1, 0, 1, 1], chunksize=2))
    for begin in (view.map, view.executor.map):
        with pytest.raises(ValueError, match="chunksize must be at least 1, not -1"):
            begin(abs, [1], chunksize=-1)


@pytest.mark.parametrize("limit", [1, 2, 4])
def test_3_34_so_many_are_under_way(rc: Client, twin: Twin, limit: int) -> None:
    source = Source()
    twin.hold(0, 1, 2, 3)
    values = rc.load_balanced_view().imap(note, source, max_outstanding=limit)
    source.wait_for(limit)
    assert len(rc.outstanding) <= limit and source.read <= limit
    twin.release()
    assert [next(values) for _ in range(20)] == list(range(20))
    values.cancel()
    assert list(values) == []


def test_3_34_one_slow_item_delays_no_other(rc: Client, twin: Twin) -> None:
    """The first value is waited for, and the engines go on with what comes behind it."""
    source = Source()
    twin.hold(0)
    values = rc.load_balanced_view().imap(note, source, max_outstanding=4)
    source.wait_for(12)
    assert len(rc.outstanding) <= 4
    twin.release()
    assert [next(values) for _ in range(12)] == list(range(12))
    values.cancel()


def test_3_34_what_nobody_takes_is_not_read_for_ever(rc: Client) -> None:
    from parallel_python.view import lazymap

    source = Source()
    values = rc.load_balanced_view().imap(note, source, max_outstanding=2)
    source.wait_for(2 * lazymap.AHEAD)
    rc.wait()
    assert source.read <= 2 * lazymap.AHEAD + 2
    assert [next(values) for _ in range(300)] == list(range(300))
    values.cancel()


@pytest.mark.parametrize("ordered", [True, False])
def test_3_34_all_values(rc: Client, ordered: bool) -> None:
    view = rc.load_balanced_view()
    for limit in (0, 1, 3, "auto"):
        values = view.imap(str, range(30), ordered=ordered, max_outstanding=limit)
        assert sorted(values, key=int) == list(map(str, range(30))), limit
        assert list(values) == []
    assert list(view.imap(str, [], ordered=ordered)) == []
    values = list(view.imap(lambda n: 1 // n, [1, 0, 1], ordered=ordered, return_exceptions=True))
    assert len(values) == 3 and sum(isinstance(value, ipp.RemoteError) for value in values) == 1


def test_3_34_ordered_values_keep_their_order(rc: Client, twin: Twin) -> None:
    twin.hold(0)
    unordered = rc.load_balanced_view().imap(int, range(8), max_outstanding=0, ordered=False)
    values = rc.load_balanced_view().imap(int, range(8), max_outstanding=0)
    first = next(unordered)
    assert first != 0
    twin.release()
    assert list(values) == list(range(8)) and sorted([first, *unordered]) == list(range(8))


def test_3_34_a_failure_ends_it(rc: Client, twin: Twin) -> None:
    source = Source()
    values = rc.load_balanced_view().imap(lambda n: 1 // (5 - n), source)
    taken: list[Any] = []
    with pytest.raises(ipp.RemoteError, match="ZeroDivisionError"):
        taken.extend(values)
    assert len(taken) == 5 and list(values) == []


def test_3_34_what_the_arguments_raise(rc: Client) -> None:
    def broken() -> Iterator[int]:
        yield from range(5)
        raise LookupError("no more arguments")

    values = rc.load_balanced_view().imap(int, broken())
    assert [next(values) for _ in range(5)] == list(range(5))
    with pytest.raises(LookupError, match="no more arguments"):
        next(values)
    with pytest.raises(LookupError):
        rc.load_balanced_view().imap(int, (one for one in [1] if broken_at_once()))
    with pytest.raises(Exception, match="lock"):
        rc.load_balanced_view().imap(int, [threading.Lock()])


@pytest.mark.parametrize("end", [SystemExit(3), KeyboardInterrupt()])
def test_3_34_arguments_that_end_the_program(rc: Client, end: BaseException) -> None:
    def ends() -> Iterator[int]:
        yield from range(3)
        raise end

    for options in ({}, {"return_exceptions": True}, {"ordered": False}):
        values = rc.load_balanced_view().imap(int, ends(), **options)
        taken: list[int] = []
        with pytest.raises(type(end)):
            taken.extend(values)
        # Where the order is not kept, the error does not wait for what is under way.
        assert taken == [0, 1, 2] or options == {"ordered": False}


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("position", [0, 1, 3])
def test_3_34_what_cannot_be_sent_ends_nothing_where_exceptions_are_values(
    rc: Client, ordered: bool, position: int
) -> None:
    arguments: list[Any] = [1, 2, 3]
    arguments.insert(position, threading.Lock())
    values = list(rc.load_balanced_view().imap(int, arguments, ordered=ordered, return_exceptions=True))
    [error] = [value for value in values if isinstance(value, Exception)]
    assert isinstance(error, pickle.PicklingError) and "lock" in str(error)
    assert not ordered or values.index(error) == position
    values.remove(error)
    assert sorted(values) == [1, 2, 3]


@pytest.mark.parametrize("limit", [-1, -5])
def test_3_34_fewer_than_none_under_way_is_refused(rc: Client, limit: int) -> None:
    with pytest.raises(ValueError, match=f"max_outstanding must be at least 1.*, not {limit}"):
        rc.load_balanced_view().imap(int, [1], max_outstanding=limit)


def broken_at_once() -> bool:
    raise LookupError


def test_3_34_an_iterator_that_is_gone_begins_nothing(rc: Client, twin: Twin) -> None:
    source = Source()
    twin.hold(0, 1, 2, 3)
    values = rc.load_balanced_view().imap(note, source, max_outstanding=4)
    source.wait_for(4)
    feeder = values._feed.thread
    del values
    assert feeder is not None
    feeder.join(30)
    assert not feeder.is_alive() and source.read == 4


def test_3_34_calls_have_the_flags_of_when_it_began(rc: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    view, seen = rc.load_balanced_view(), []
    balance = type(view)._balance

    def look(self: Any) -> Any:
        seen.append(self.retries)
        return balance(self)

    monkeypatch.setattr(type(view), "_balance", look)
    with view.temp_flags(retries=3):
        values = view.imap(str, range(40), max_outstanding=1)
    assert list(values) == list(map(str, range(40))) and set(seen) == {3}
    assert set(values._feed._view.history) <= set(view.history)


def test_3_12_workers(rc: Client) -> None:
    view = rc.load_balanced_view([1, 3])
    assert isinstance(view, LoadBalancedView) and isinstance(view.executor, ViewExecutor)
    assert view.executor._max_workers == len(view) == 2
