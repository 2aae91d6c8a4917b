"""Large buffers as files in memory: what is mapped is what was written, or it is an error."""

from __future__ import annotations

import os

import pytest

from parallel_python import bulk


def test_a_buffer_comes_as_it_was_written_and_can_be_written_to() -> None:
    file = bulk.SharedFile([memoryview(b"a" * 5000), memoryview(b"b" * 10)])
    for _ in range(2):
        first, second = bulk.receive(file.blobs)
        assert (bytes(first), bytes(second)) == (b"a" * 5000, b"b" * 10)
        first[0] = 0


def test_another_file_that_was_given_the_descriptors_number_is_not_taken_for_it() -> None:
    file, stranger = (bulk.SharedFile([memoryview(content * 5000)]) for content in (b"a", b"b"))
    os.dup2(stranger.descriptor, file.descriptor)
    with pytest.raises(OSError, match=f"process {os.getpid()} .* was closed, and this is another file"):
        bulk.receive(file.blobs)


def test_what_was_closed_is_an_error() -> None:
    file = bulk.SharedFile([memoryview(b"a" * 5000)])
    blobs = list(file.blobs)
    file.close()
    with pytest.raises(OSError, match="cannot be opened: No such file"):
        bulk.receive(blobs)
