"""Results that are cancelled, awaited, or cannot be unpickled here. Numbers are rows of the reference."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from typing import Any

import pytest

import parallel_python as ipp
from parallel_python.client.client import Client
from twin import Twin


def give(value: Any = None) -> Any:
    return value


def refuse() -> Any:
    raise LookupError("this cannot be read here")


class Unreadable:
    """Can be pickled, and not unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return refuse, ()


def test_4_23_a_cancelled_result_has_no_value(rc: Client, twin: Twin) -> None:
    twin.hold(0, 1, 2, 3)
    result = rc[:].apply(give, 3)
    assert not result.running() and result.cancel() and result.cancelled() and result.done()
    twin.release()
    # The engines go on, and what they give is nobody's.
    assert rc[:].apply_sync(int) == [0] * 4
    assert repr(result) == "<AsyncResult(give): cancelled>"
    assert not result.successful()
    values = (
        result.get,
        result.result,
        result.exception,
        result.get_dict,
        lambda: result.r,
        lambda: result[0],
    )
    for value in (*values, lambda: result.get(return_exceptions=True), lambda: list(result)):
        with pytest.raises(concurrent.futures.CancelledError):
            value()
    with pytest.raises(concurrent.futures.CancelledError):
        result.get(return_when=concurrent.futures.FIRST_EXCEPTION)


def test_4_23_who_waits_for_several_is_told_of_a_cancelled_one(rc: Client, twin: Twin) -> None:
    twin.hold(0, 1)
    first, given_up = rc[0].apply(int), rc[1].apply(int)
    waiting = concurrent.futures.as_completed([first, given_up], timeout=30)
    assert given_up.cancel() and given_up.cancel()
    assert next(waiting) is given_up
    assert rc.wait(given_up, timeout=30) and given_up.wait(0)
    twin.release()
    assert next(waiting) is first
    assert concurrent.futures.wait([first, given_up], 30).not_done == set()


def test_4_23_times_of_a_cancelled_result_are_those_of_its_tasks(rc: Client, twin: Twin) -> None:
    twin.hold(0, 1, 2, 3)
    result = rc[:].apply(give)
    result.cancel()
    assert result.elapsed > 0 and result.progress == 0
    with pytest.raises(TimeoutError, match="result not ready"):
        result.wall_time  # noqa: B018
    twin.release()
    rc[:].apply_sync(int)
    assert result.wall_time == result.elapsed and result.progress == 4


def test_4_23_a_cancelled_map(rc: Client, twin: Twin) -> None:
    twin.hold(0, 1, 2, 3)
    result = rc[:].map(give, range(8))
    result.cancel()
    twin.release()
    for value in (result.get, lambda: list(result)):
        with pytest.raises(concurrent.futures.CancelledError):
            value()


def test_4_23_waiting_for_it_in_time_cancels_it(rc: Client, twin: Twin) -> None:
    twin.hold(0, 1, 2, 3)
    result = rc[0].apply(give)

    async def waits() -> None:
        await asyncio.wait_for(result, 0.01)

    with pytest.raises(TimeoutError):
        asyncio.run(waits())
    twin.release()
    with pytest.raises(concurrent.futures.CancelledError):
        result.get()


@pytest.mark.parametrize("wrapped", [False, True])
def test_4_23_awaiting_what_cannot_be_unpickled_raises(rc: Client, wrapped: bool) -> None:
    async def awaits() -> Any:
        result = rc[0].apply(Unreadable)
        return await asyncio.wait_for(asyncio.wrap_future(result) if wrapped else result, 30)

    with pytest.raises(LookupError, match="cannot be read"):
        asyncio.run(awaits())
    result = rc[0].apply(Unreadable)
    assert isinstance(result.exception(30), LookupError) and result.exception(0) is not None
    with pytest.raises(LookupError):
        result.get()


def test_4_23_what_newer_pythons_copy_from_a_future(rc: Client, twin: Twin) -> None:
    """`asyncio` of CPython 3.14 takes a future's state, value and all, by this one call."""
    twin.hold(0, 1, 2, 3)
    result = rc[:].apply(give, 3)
    assert result._get_snapshot() == (False, False, None, None)
    twin.release()
    result.wait()
    assert result._get_snapshot() == (True, False, [3] * 4, None)
    failed = rc[:].apply(refuse)
    failed.wait()
    done, cancelled, value, error = failed._get_snapshot()
    assert done and not cancelled and value is None and isinstance(error, ipp.CompositeError)
    twin.hold(0, 1, 2, 3)
    given_up = rc[:].apply(give)
    given_up.cancel()
    assert given_up._get_snapshot() == (True, True, None, None)


def test_4_23_a_callback_that_waits_is_told_so(rc: Client, twin: Twin) -> None:
    """Callbacks run in the thread that completes results: a wait in it would be for ever."""
    twin.hold(0, 1)
    told: list[BaseException] = []
    called = threading.Event()

    def waits(done: Any) -> None:
        pending = rc[1].apply(give)
        for wait in (
            pending.get,
            pending.wait,
            pending.result,
            pending.exception,
            lambda: rc.abort(block=True),
        ):
            try:
                wait()
            except RuntimeError as error:
                told.append(error)
        try:
            assert done.get() == 0
        finally:
            called.set()

    rc[0].apply(int).add_done_callback(waits)
    twin.free[0].set()
    assert called.wait(30)
    twin.release()
    assert len(told) == 5 and all("would wait for itself" in str(error) for error in told)
