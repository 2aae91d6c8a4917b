"""`Sent`: what was submitted last, so that it can be submitted again.

It is bounded by number and by size. What lies in shared memory is let go of when it has been received, so a
task with such arguments cannot be repeated.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable

from parallel_python.client.clientlink import Submission

#: How many submissions are kept at most, and how many bytes of them: as many as the kernel keeps records.
MOST, MOST_BYTES = 1024, 64 * 1024 * 1024


class Sent:
    """Submissions by their tasks' names, the oldest first."""

    def __init__(self) -> None:
        self._submissions: dict[str, Submission] = {}
        #: Names and sizes in order: where many have gone, a dict's first key is not found at once.
        self._order: deque[tuple[str, int]] = deque()
        self._bytes = 0
        self._changing = threading.Lock()

    def remember(self, submissions: Iterable[Submission]) -> None:
        """Keep submissions, in place of the oldest ones if need be."""
        with self._changing:
            for submission in submissions:
                name, size = submission[0], size_of(submission)
                self._submissions[name] = submission
                self._order.append((name, size))
                self._bytes += size
                while len(self._order) > MOST or self._bytes > MOST_BYTES:
                    oldest, size = self._order.popleft()
                    self._submissions.pop(oldest, None)
                    self._bytes -= size

    def get(self, name: str) -> Submission | None:
        """Return a submission that is still kept."""
        return self._submissions.get(name)


def size_of(submission: Submission) -> int:
    """Return how many bytes a submission is as a message."""
    kind, data, *rest = submission[3]
    if kind != "apply" or not rest[0]:
        return len(data)
    return len(data) + sum(memoryview(one).nbytes for one in rest[0] if not isinstance(one, tuple))
