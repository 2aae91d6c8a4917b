"""`Sent`: what was submitted last, so that it can be submitted again.

It is bounded by number and by size. What lies in shared memory is let go of when it has been received, so a
task with such arguments cannot be repeated.
"""

from __future__ import annotations

import threading

from parallel_python.client.clientlink import Submission

#: How many submissions are kept at most, and how many bytes of them: as many as the kernel keeps records.
MOST, MOST_BYTES = 1024, 64 * 1024 * 1024


class Sent:
    """Submissions by their tasks' names, the oldest first."""

    def __init__(self) -> None:
        self._submissions: dict[str, Submission] = {}
        self._bytes = 0
        self._changing = threading.Lock()

    def remember(self, submission: Submission) -> None:
        """Keep a submission, in place of the oldest ones if need be."""
        with self._changing:
            self._submissions[submission[0]] = submission
            self._bytes += size_of(submission)
            while len(self._submissions) > MOST or self._bytes > MOST_BYTES:
                oldest = self._submissions.pop(next(iter(self._submissions)))
                self._bytes -= size_of(oldest)

    def get(self, name: str) -> Submission | None:
        """Return a submission that is still kept."""
        return self._submissions.get(name)


def size_of(submission: Submission) -> int:
    """Return how many bytes a submission is as a message."""
    kind, data, *rest = submission[3]
    buffers = rest[0] if kind == "apply" else ()
    return len(data) + sum(memoryview(one).nbytes for one in buffers if not isinstance(one, tuple))
