"""Large buffers between processes of one machine: written once, mapped by whoever needs them.

The writer puts the buffers of a submission or a result into a file in memory; the receivers map it
privately. So there is one copy however many engines take part, each of them can write to what it has got,
and the memory is free when the last process has let go of it. Where ranks do not share memory
(``PARALLEL_PYTHON_BULK=mpi`` says so of all), Rust carries the files over MPI, and all is the same here.

A buffer outside a pickle is bytes, or *shared*: ``(holder, descriptor, inode, offset, length)``, a part of
the file that the process `holder` has open as `descriptor`. **Invariant**: what is mapped is that file, or it
is an error: by its inode it is known from one that was given the descriptor's number since.
"""

from __future__ import annotations

import errno
import mmap
import os
import resource
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from parallel_python.copying import together

#: ``(holder's process id, its descriptor, the file's inode, offset, length)``
Shared = tuple[int, int, int, int, int]

#: From this size on, in bytes, it is looked first whether there is as much memory: Linux would end processes
#: rather than refuse.
LARGE = 64_000_000

#: Linux writes at most this much at once.
_MOST_AT_ONCE = 1 << 30

#: As many files as a process may have mappings, usually; the kernel allows itself as many.
_ENOUGH = 65_536

#: So many descriptors are never taken.
_LEFT_TO_OTHERS = 64

#: So many bytes may travel in a message where there are no more files.
_MOST_IN_A_MESSAGE = 64 << 20


class OutOfMemory(MemoryError):
    """There is not enough memory for buffers that are to be shared; the text says how much was asked for."""


class SharedFile:
    """A file in memory that this process has written; it is closed when nobody holds this any more.

    Parameters
    ----------
    buffers : list of memoryview
        What to put into it, each at the beginning of a page.

    Attributes
    ----------
    size : int
        How many bytes the buffers have.
    """

    def __init__(self, buffers: Sequence[memoryview]) -> None:
        self.blobs: list[Shared] = []
        self.descriptor = -1
        self.size = total = sum(buffer.nbytes for buffer in buffers)
        check_room(total)
        self.descriptor = new_file(total)
        try:
            offset, inode = 0, os.fstat(self.descriptor).st_ino
            for buffer in buffers:
                write(self.descriptor, buffer, offset)
                self.blobs.append((os.getpid(), self.descriptor, inode, offset, buffer.nbytes))
                offset += pages(buffer.nbytes)
            if os.fstat(self.descriptor).st_size < offset:
                os.ftruncate(self.descriptor, offset)
        except OSError as error:
            self.close()
            raise OutOfMemory(
                f"there is no memory for {total / 1e6:,.0f} MB that are to be shared with engines ({error})"
            ) from error

    def close(self) -> None:
        """Let go of the file; who has mapped it keeps it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __del__(self) -> None:
        self.close()


class SharedFiles:
    """What a task of several shares: a file of its own, and one that the others share too.

    Parameters
    ----------
    own, common : SharedFile or None
        The files. The common one is closed when the last task has let go of it.

    Attributes
    ----------
    size : int
        How many bytes the buffers of both have.
    """

    def __init__(self, own: SharedFile | None, common: SharedFile | None) -> None:
        self._files = [file for file in (own, common) if file is not None]
        self.size = sum(file.size for file in self._files)


#: What holds shared memory, if anything does.
File = SharedFile | SharedFiles | None


class TooManyFiles(OSError):
    """There are as many files open as this process may have; the text says how many."""


def allow_many_files() -> None:
    """Allow this process as many files as the system lets it have, up to as many as it may have mappings.

    Large values are memory files, and the usual 1,024 are fewer than the tasks of a map.
    """
    usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if most == resource.RLIM_INFINITY else min(most, _ENOUGH)
    if usual != resource.RLIM_INFINITY and usual < wanted:
        with suppress(OSError, ValueError):  # Then it stays as it is, and what is large travels in messages.
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def most_files() -> float:
    """Return how many files this process may have open."""
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return float("inf") if usual == resource.RLIM_INFINITY else usual


def new_file(size: int) -> int:
    """Return the descriptor of a new memory file; the last ones are left to the rest of the process."""
    most = most_files()
    try:
        descriptor = os.memfd_create("parallel-python", os.MFD_CLOEXEC)
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        descriptor = None
    if descriptor is not None and descriptor < most - _LEFT_TO_OTHERS:
        return descriptor
    if descriptor is not None:
        os.close(descriptor)
    raise TooManyFiles(
        errno.EMFILE,
        f"this process has nearly as many files open as it may have ({most}), too many to share"
        f" {size / 1e6:,.1f} MB with engines: raise the limit (`ulimit -n`), or send less at once",
    )


def check_room(size: int) -> None:
    """Raise where so many bytes are more than there are.

    Raises
    ------
    OutOfMemory
        With both sizes.
    """
    if size > LARGE and size > (free := _free()):
        raise OutOfMemory(
            f"{size / 1e6:,.0f} MB are to be shared with engines, and {free / 1e6:,.0f} MB of memory are free"
        )


def _free() -> float:
    """Return how much memory can be had, in bytes: of the machine, and of the container if that allows
    less.
    """
    free = float("inf")
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                free = 1024.0 * int(line.split()[1])
    return min(free, *(_left_of(Path("/sys/fs/cgroup", group), *names) for group, *names in _LIMITS))


#: Where a container's limit stands, what is used of it, and what of that are files (cgroups v2 and v1).
_LIMITS = (
    ("", "memory.max", "memory.current", "inactive_file"),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def _left_of(group: Path, limit: str, used: str, files: str) -> float:
    """Return how much of a container's memory can be had: infinity where nothing is said."""
    try:
        most = float((group / limit).read_text("ascii").replace("max", "inf"))
        stat = dict(line.split() for line in (group / "memory.stat").read_text("ascii").splitlines())
        # Files that nobody has read lately make room when it is needed.
        return most - int((group / used).read_text("ascii")) + int(stat.get(files, 0))
    except (OSError, ValueError):
        return float("inf")


def pages(size: int) -> int:
    """Return how many bytes the pages have that so many bytes take."""
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE


def write(descriptor: int, buffer: memoryview, offset: int) -> None:
    """Write a buffer into a file."""
    view = buffer.cast("B")
    written = 0
    while written < view.nbytes:
        part = view[written : written + _MOST_AT_ONCE]
        written += os.pwrite(descriptor, part, offset + written)


def share(buffers: Sequence[memoryview]) -> tuple[list[bytes | Shared], SharedFile | None]:
    """Return what stands for buffers in a message, and the file they are in if they are in one."""
    if not buffers:
        return [], None
    try:
        file = SharedFile(buffers)
    except TooManyFiles:
        if sum(buffer.nbytes for buffer in buffers) > _MOST_IN_A_MESSAGE:
            raise
        return [bytes(buffer) for buffer in buffers], None
    return list(file.blobs), file


def share_each(
    several: Sequence[Sequence[memoryview]],
) -> list[tuple[list[bytes | Shared], SharedFile | None]]:
    """Do `share` with several lists of buffers, each of which gets a file of its own."""
    size = sum(buffer.nbytes for buffers in several for buffer in buffers)
    check_room(size)
    return together([partial(share, buffers) for buffers in several], size)


def receive(blobs: Iterable[bytes | Shared]) -> list[memoryview]:
    """Return buffers that a message stands for, all of them writable.

    Raises
    ------
    OSError
        When the process that holds them is gone, or has let go of them; a text in place of a buffer says why
        it is.
    """
    maps: dict[tuple[int, int, int], memoryview] = {}
    found = []
    for blob in blobs:
        if isinstance(blob, str):
            raise OSError(blob)
        if not isinstance(blob, tuple):
            found.append(memoryview(blob if isinstance(blob, bytearray) else bytearray(blob)))
            continue
        offset, length = blob[3:]
        if length == 0:
            found.append(memoryview(bytearray()))
            continue
        key = blob[:3]
        if key not in maps:
            holder, descriptor, inode = key
            maps[key] = map_files(holder, [(descriptor, inode, None)])
        found.append(maps[key][offset : offset + length])
    return found


def map_files(holder: int, files: list[tuple[int, int, int | None]]) -> memoryview:
    """Map files of a process side by side: descriptors there, inodes, how many bytes of each; None: all."""
    from _parallel_python import Mapping

    return memoryview(Mapping(holder, files))
