"""How what is submitted becomes messages: engines begin with the first while the rest is made."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator

from parallel_python.client.clientlink import Submission
from parallel_python.client.sent import size_of
from parallel_python.client.task import Task

#: A task, and how it is submitted.
Work = tuple[Task, Submission]

#: So many bytes are submitted at once, about; a message may be 512 MiB at most.
MOST_BYTES = 32 << 20

#: So many tasks are submitted at once: engines that have done theirs wait for no more than that to be made.
MOST = 256


def batches(works: Iterable[Work], first: int) -> Iterator[list[Work]]:
    """Give work in messages, none of them empty.

    Parameters
    ----------
    works : iterable of (Task, Submission)
        The work, which may be made while it is taken.
    first : int
        How many tasks the first message has; the next ones have twice as many each, up to `MOST`.
    """
    works, most, more = iter(works), first, True
    while more:
        batch, more = _take(works, most)
        if batch:
            yield batch
        most = min(2 * most, max(first, MOST))


def _take(works: Iterator[Work], most: int) -> tuple[list[Work], bool]:
    """Return what goes into one message, made while nothing is collected, and whether more may come.

    A task is ten objects, all of which are kept: the garbage collector would come with every seventieth task,
    look through them in vain, and take as long as making them.
    """
    batch: list[Work] = []
    size, more, collects = 0, False, gc.isenabled()
    try:
        gc.disable()
        for work in works:
            batch.append(work)
            size += size_of(work[1])
            if len(batch) >= most or size >= MOST_BYTES:
                more = True
                break
    finally:
        if collects:
            gc.enable()
    return batch, more
