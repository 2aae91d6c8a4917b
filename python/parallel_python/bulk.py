"""Large buffers between processes of one machine: written once, mapped by whoever needs them.

The writer puts the buffers of a submission or a result into a file in memory; the receivers map it
privately. So there is one copy however many engines take part, each of them can write to what it has got,
and the memory is free when the last process has let go of it. Where ranks do not share memory
(``PARALLEL_PYTHON_BULK=mpi`` says so of all), Rust carries the files over MPI, and all is the same here.

A buffer outside a pickle is bytes, or *shared*: ``(holder, descriptor, offset, length)``, a part of the file
that the process `holder` has open as `descriptor`.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Sequence

#: ``(holder's process id, its descriptor, offset, length)``
Shared = tuple[int, int, int, int]

#: From this size on, in bytes, it is looked first whether there is as much memory: Linux would end processes
#: rather than refuse.
LARGE = 64_000_000

#: Linux writes at most this much at once.
_MOST_AT_ONCE = 1 << 30


class OutOfMemory(MemoryError):
    """There is not enough memory for buffers that are to be shared; the text says how much was asked for."""


class SharedFile:
    """A file in memory that this process has written; `close` lets go of it.

    Parameters
    ----------
    buffers : list of memoryview
        What to put into it, each at the beginning of a page.
    """

    def __init__(self, buffers: Sequence[memoryview]) -> None:
        self.blobs: list[Shared] = []
        self.descriptor = os.memfd_create("parallel-python", os.MFD_CLOEXEC)
        total = sum(buffer.nbytes for buffer in buffers)
        if total > LARGE and total > (free := _free()):
            self.close()
            raise OutOfMemory(
                f"{total / 1e6:,.0f} MB are to be shared with engines,"
                f" and {free / 1e6:,.0f} MB of memory are free"
            )
        try:
            offset = 0
            for buffer in buffers:
                _write(self.descriptor, buffer, offset)
                self.blobs.append((os.getpid(), self.descriptor, offset, buffer.nbytes))
                offset += -(-buffer.nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
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


def _free() -> float:
    """Return how much memory can be had, in bytes: of the machine, and of the container if that allows
    less.
    """
    free = float("inf")
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                free = 1024.0 * int(line.split()[1])
    try:
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as file:
            most = file.read().strip()
        with open("/sys/fs/cgroup/memory.current", encoding="ascii") as file:
            used = int(file.read())
    except (OSError, ValueError):
        return free
    return free if most == "max" else min(free, float(most) - used)


def _write(descriptor: int, buffer: memoryview, offset: int) -> None:
    view = buffer.cast("B")
    written = 0
    while written < view.nbytes:
        part = view[written : written + _MOST_AT_ONCE]
        written += os.pwrite(descriptor, part, offset + written)


def share(buffers: Sequence[memoryview]) -> tuple[list[bytes | Shared], SharedFile | None]:
    """Return what stands for buffers in a message, and the file they are in if they are in one."""
    if not buffers:
        return [], None
    file = SharedFile(buffers)
    return list(file.blobs), file


def receive(blobs: Iterable[bytes | Shared]) -> list[memoryview]:
    """Return buffers that a message stands for, all of them writable.

    Raises
    ------
    OSError
        When the process that holds them is gone; a text in place of a buffer says why it is.
    """
    maps: dict[tuple[int, int], memoryview] = {}
    found = []
    for blob in blobs:
        if isinstance(blob, str):
            raise OSError(blob)
        if not isinstance(blob, tuple):
            found.append(memoryview(blob if isinstance(blob, bytearray) else bytearray(blob)))
            continue
        holder, descriptor, offset, length = blob
        if length == 0:
            found.append(memoryview(bytearray()))
            continue
        key = (holder, descriptor)
        if key not in maps:
            maps[key] = _map(holder, descriptor)
        found.append(maps[key][offset : offset + length])
    return found


def _map(holder: int, descriptor: int) -> memoryview:
    own = holder == os.getpid()
    file = descriptor if own else os.open(f"/proc/{holder}/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return memoryview(mmap.mmap(file, 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE))
    finally:
        if not own:
            os.close(file)
