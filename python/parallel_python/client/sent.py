"""`Sent`: what was submitted last, so that it can be submitted again.

It is bounded by number and by size. Large arguments lie in shared memory that is let go of when it has been
received, so a task with such arguments cannot be repeated.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from parallel_python import bulk
from parallel_python.client.clientlink import Submission

#: How many submissions are kept at most, and how many bytes of them: as many as the kernel keeps records.
MOST, MOST_BYTES = 1024, 64 * 1024 * 1024

#: From this size on, in bytes, what a submission shares is not kept.
LARGE = 256 * 1024


class Again(NamedTuple):
    """What it takes to submit something again: as it was submitted, and the file with what it shares."""

    submission: Submission
    file: bulk.File


class Sent:
    """Submissions by their tasks' names, the oldest first."""

    def __init__(self) -> None:
        # A file is a descriptor; where there are few, they are for what is under way.
        self._keeps_files = bulk.most_files() >= 4 * MOST
        self._submissions: dict[str, Again] = {}
        #: Names and sizes in order: where many have gone, a dict's first key is not found at once.
        self._order: deque[tuple[str, int]] = deque()
        self._bytes = 0
        self._changing = threading.Lock()

    def keeps(self, file: bulk.File) -> bool:
        """Whether a submission that shares this is kept."""
        return file is None or (self._keeps_files and file.size < LARGE)

    def remember(self, submissions: Iterable[Again]) -> None:
        """Keep submissions, in place of the oldest ones if need be."""
        with self._changing:
            for again in submissions:
                name, size = again.submission[0], size_of(again.submission)
                size += 0 if again.file is None else again.file.size
                self._submissions[name] = again
                self._order.append((name, size))
                self._bytes += size
                while len(self._order) > MOST or self._bytes > MOST_BYTES:
                    oldest, size = self._order.popleft()
                    self._submissions.pop(oldest, None)
                    self._bytes -= size

    def get(self, name: str) -> Again | None:
        """Return a submission that is still kept."""
        return self._submissions.get(name)


def size_of(submission: Submission) -> int:
    """Return how many bytes a submission is as a message, without what it shares."""
    kind, data, *rest = submission[3]
    if kind != "apply" or not rest[0]:
        return len(data)
    return len(data) + sum(memoryview(one).nbytes for one in rest[0] if not isinstance(one, tuple))
