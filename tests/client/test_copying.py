"""Copying by several threads: nothing is different from copying by one."""

from __future__ import annotations

import errno
import os
import threading
from typing import Any

import numpy as np
import pytest

from parallel_python import bulk
from parallel_python.copying import WORTH, concatenate, together

BIG = 4 * WORTH


def same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one.dtype == other.dtype and bool(np.array_equal(one, other))


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine with four."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 2, 3})


@pytest.mark.usefixtures("cores")
def test_several_jobs_are_done_at_a_time_and_answered_in_order() -> None:
    here = threading.Barrier(4)
    jobs = [lambda number=number: (here.wait(20), number)[1] for number in range(4)]
    assert together(jobs, BIG) == [0, 1, 2, 3]


@pytest.mark.usefixtures("cores")
def test_little_is_done_in_the_thread_that_asks() -> None:
    jobs = [threading.get_ident] * 4
    assert set(together(jobs, WORTH)) == {threading.get_ident()}
    assert together([], 0) == []


@pytest.mark.usefixtures("cores")
def test_without_threads_one_does_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert together([lambda: 1, lambda: 2], BIG) == [1, 2]


@pytest.mark.usefixtures("cores")
@pytest.mark.parametrize("bad", range(4))
def test_what_one_raises_is_raised_when_all_have_ended(bad: int) -> None:
    def job(number: int) -> int:
        if number == bad:
            raise OSError(errno.ENOSPC, f"job {number}")
        return number

    before = set(threading.enumerate())
    with pytest.raises(OSError, match=f"job {bad}"):
        together([lambda number=number: job(number) for number in range(4)], BIG)
    assert not set(threading.enumerate()) - before


LONG = np.arange(BIG // 8)
TABLE = np.arange(BIG // 8, dtype=np.float32).reshape(-1, 4)


@pytest.mark.usefixtures("cores")
@pytest.mark.parametrize(
    "arrays",
    [
        [LONG, LONG[:7], LONG[:0], LONG],
        [TABLE, TABLE[:3]],
        [LONG, LONG.astype(float)],
        [LONG.astype(">i8"), LONG.astype(">i8")],
        [LONG[::2], LONG[1::2]],
        [np.asfortranarray(TABLE), np.asfortranarray(TABLE)],
        [np.zeros((0, BIG)), np.zeros((0, BIG))],
        [np.zeros((BIG, 0)), np.zeros((2, 0))],
        [np.ones((2, BIG), np.uint8), np.ones((1, BIG), np.uint8)],
        [LONG.astype("M8[s]"), LONG.astype("M8[ms]")],
        [TABLE.view(np.recarray), TABLE.view(np.recarray)],
        [LONG.astype(object)[:5], LONG],
        [LONG, [1, 2, 3]],
    ],
    ids=lambda arrays: f"{arrays[0].dtype}{arrays[0].shape}",
)
def test_it_joins_as_numpy_does(arrays: list[Any]) -> None:
    joined, expected = concatenate(arrays), np.concatenate(arrays)
    assert same(joined, expected)
    assert joined.flags.c_contiguous == expected.flags.c_contiguous


def test_what_numpy_refuses_is_refused_in_its_words() -> None:
    with pytest.raises(ValueError, match="must match exactly"):
        concatenate([TABLE, TABLE[:, :2]])


@pytest.mark.usefixtures("cores")
def test_each_gets_a_file_of_its_own() -> None:
    several = [[memoryview(LONG[:n].view(np.uint8))] for n in (10, len(LONG), len(LONG) // 2)]
    shared = bulk.share_each([*several, []])
    assert len({file.descriptor for _, file in shared if file is not None}) == 3
    assert shared[-1] == ([], None)
    for buffers, (blobs, _) in zip(several, shared, strict=False):
        assert bulk.receive(blobs)[0] == buffers[0]


def test_more_than_there_is_is_refused_before_any_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "_free", lambda: 1.5 * bulk.LARGE)
    buffers = [memoryview(bytearray(bulk.LARGE - 1))]
    bulk.share_each([buffers])
    with pytest.raises(bulk.OutOfMemory, match=r"192 MB are to be shared with engines, and 96 MB"):
        bulk.share_each([buffers] * 3)
