"""Copying large memory by several threads: new pages take one thread longer to make than to fill.

**Invariant**: what is done is the same as by one thread, and where there are no threads to be had, by one.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import numpy

T = TypeVar("T")

#: So many bytes are worth a thread.
WORTH = 8 << 20

#: More threads than these wait for the memory and not for each other.
MOST = 8


def together(jobs: Sequence[Callable[[], T]], size: int) -> list[T]:
    """Do jobs which copy memory, several at a time.

    Parameters
    ----------
    jobs : sequence of callable
        What is to be done; each lets go of Python's lock while it copies.
    size : int
        How many bytes they copy in all.

    Returns
    -------
    list
        What each has returned, in their order. The first exception of any is raised when all have ended.
    """
    if size < 2 * WORTH:
        return [job() for job in jobs]
    hands = min(len(jobs), len(os.sched_getaffinity(0)), MOST, size // WORTH)
    found: dict[int, T] = {}
    errors: list[BaseException] = []
    left = iter(enumerate(jobs))

    def work() -> None:
        try:
            for number, job in left:
                found[number] = job()
        except BaseException as error:
            errors.append(error)

    helpers = []
    for _ in range(1, hands):
        helper = threading.Thread(target=work, name="parallel-python-copy", daemon=True)
        try:
            helper.start()
        except RuntimeError:
            break  # There may be no more threads; then there are fewer.
        helpers.append(helper)
    work()
    for helper in helpers:
        helper.join()
    if errors:
        raise errors[0]
    return [found[number] for number in range(len(jobs))]


def concatenate(arrays: Sequence[Any]) -> numpy.ndarray[Any, Any]:
    """Join arrays, and what is like one, along their first axis, as `numpy.concatenate` does."""
    import numpy

    first = arrays[0]
    alike = all(_is_like(first, array) for array in arrays)
    size = sum(array.nbytes for array in arrays) if alike else 0
    if size < 2 * WORTH:
        return numpy.concatenate(arrays)
    joined = numpy.empty((sum(map(len, arrays)), *first.shape[1:]), first.dtype)
    rows = max(1, WORTH // max(1, first.nbytes // max(1, len(first))))
    jobs, place = [], 0
    for array in arrays:
        for start in range(0, len(array), rows):
            piece = array[start : start + rows]
            jobs.append(partial(numpy.copyto, joined[place : place + len(piece)], piece))
            place += len(piece)
    together(jobs, size)
    return joined


def is_plain(array: Any) -> bool:
    """Tell whether something is a numpy array of numbers that can be copied as they lie."""
    numpy = sys.modules.get("numpy")
    return (
        numpy is not None
        and type(array) is numpy.ndarray
        and array.dtype.kind in "biufc"
        # Others may claim such a kind, and have no buffers.
        and array.dtype.isbuiltin == 1
        and array.dtype.isnative
        and array.flags.c_contiguous
    )


def _is_like(first: Any, array: Any) -> bool:
    """Tell whether two arrays are of numbers that can be copied side by side as they are."""
    return is_plain(array) and array.dtype == first.dtype and array.shape[1:] == first.shape[1:]
