"""A whole of which several processes write a part each."""

from __future__ import annotations

import mmap
import os
import resource
from pathlib import Path

import pytest

from parallel_python import bulk
from parallel_python.room import Room

SIZES = [5 * mmap.PAGESIZE, 3 * mmap.PAGESIZE + 7, 2 * mmap.PAGESIZE, 4 * mmap.PAGESIZE - 1]


def test_parts_are_written_side_by_side_in_any_order() -> None:
    room = Room(SIZES)
    parts = [bytes([number]) * size for number, size in enumerate(SIZES, start=1)]
    for place in (2, 0, 3, 1):
        assert room.place.write(memoryview(parts[place]), room.offsets[place])
    whole = room.read()
    del room
    assert bytes(whole) == b"".join(parts) and not whole.readonly
    whole[0] = 9


def test_what_is_closed_takes_no_files_and_what_was_read_stays() -> None:
    with Room(SIZES) as room:
        numbers = room.place.descriptors
        whole = room.read()
    for number in numbers:
        with pytest.raises(OSError):
            os.fstat(number)
    assert len(whole) == sum(SIZES) and not any(whole)


def test_a_part_is_not_written_into_a_file_that_only_has_the_number() -> None:
    room = Room(SIZES)
    stranger = bulk.SharedFile([memoryview(b"a" * sum(SIZES))])
    os.dup2(stranger.descriptor, room.place.descriptors[1])
    part = memoryview(b"b" * SIZES[1])
    assert not room.place.write(part, room.offsets[1])
    assert not room.place._replace(holder=2**22 + 1).write(part, 0), "a process that is not there"
    assert set(os.pread(stranger.descriptor, sum(SIZES), 0)) == {ord("a")}


def test_a_part_for_which_there_is_no_memory_says_so() -> None:
    room = Room(SIZES)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (mmap.PAGESIZE, before[1]))
    try:
        with pytest.raises(bulk.OutOfMemory, match="there is no memory for 0 MB of a whole"):
            room.place.write(memoryview(b"b" * SIZES[0]), 0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({}, float("inf")),
        ({"memory.max": "max\n", "memory.current": "5\n", "memory.stat": "inactive_file 1\n"}, float("inf")),
        ({"memory.max": "100\n", "memory.current": "90\n", "memory.stat": "anon 10\ninactive_file 70\n"}, 80),
        ({"memory.max": "100\n", "memory.current": "90\n", "memory.stat": ""}, 10),
    ],
)
def test_files_that_nobody_reads_are_free_memory_of_a_container(
    tmp_path: Path, files: dict[str, str], left: float
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert bulk._left_of(tmp_path, "memory.max", "memory.current", "inactive_file") == left
