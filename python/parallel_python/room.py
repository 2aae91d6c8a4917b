"""Memory into which several processes write a part each: of what is gathered, which nobody has to join then.

**Invariant**: who writes has found the very files; on a machine where they are not it writes nothing.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate, pairwise
from typing import NamedTuple

from parallel_python import bulk


class Place(NamedTuple):
    """Where others write the parts of a whole: files of one process, which hold it in order.

    Several, because Linux lets one process write to a file at a time.
    """

    holder: int
    descriptors: tuple[int, ...]
    #: Which bytes of the whole the files begin with, whole pages, and the whole's size.
    bounds: tuple[int, ...]
    #: The page behind those begins with this, by which a file is known, also from one of another machine.
    mark: bytes

    def write(self, part: memoryview, offset: int) -> bool:
        """Write the bytes from `offset` on; whether the files are of this machine.

        Raises
        ------
        OutOfMemory
            When there is no memory for them.
        """
        end = offset + part.nbytes
        for descriptor, (first, last) in zip(self.descriptors, pairwise(self.bounds), strict=True):
            start, stop = max(first, offset), min(last, end)
            if start >= stop:
                continue
            file = self._open(descriptor, last - first)
            if file is None:
                return False
            try:
                bulk.write(file, part[start - offset : stop - offset], start - first)
            except OSError as error:
                raise bulk.OutOfMemory(
                    f"there is no memory for {part.nbytes / 1e6:,.0f} MB of a whole ({error})"
                ) from error
            finally:
                os.close(file)
        return True

    def _open(self, descriptor: int, size: int) -> int | None:
        """Open a file with so many bytes of the whole, if it is there."""
        try:
            file = os.open(f"/proc/{self.holder}/fd/{descriptor}", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        with suppress(OSError):  # It cannot be read like a file, so it is none.
            if os.pread(file, len(self.mark), bulk.pages(size)) == self.mark:
                return file
        os.close(file)
        return None


class Room:
    """Memory for a whole of which several processes write a part each.

    Parameters
    ----------
    sizes : list of int
        How many bytes the parts have, in order.

    Attributes
    ----------
    size : int
        How many bytes they have together.
    offsets : list of int
        Where they begin.
    place : Place
        What others write by, as long as this is held.

    Raises
    ------
    OutOfMemory
        When there is no such memory.
    TooManyFiles
        When this process may not open as many more as there are parts.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self._descriptors: list[int] = []
        *self.offsets, self.size = accumulate(sizes, initial=0)
        bulk.check_room(self.size)
        # A page in which a part begins is the first of a file: the end of the part before is there too.
        begins = dict.fromkeys(offset - offset % mmap.PAGESIZE for offset in self.offsets)
        bounds = (*begins, self.size)
        mark = os.urandom(16)
        for first, last in pairwise(bounds):
            self._descriptors.append(bulk.new_file(last - first))
            os.pwrite(self._descriptors[-1], mark, bulk.pages(last - first))
        self.place = Place(os.getpid(), tuple(self._descriptors), bounds, mark)

    def read(self) -> memoryview:
        """Return what was written; it can be written to, and stays when this has gone."""
        return bulk.map_files(
            self.place.holder,
            [
                (descriptor, os.fstat(descriptor).st_ino, last - first)
                for descriptor, (first, last) in zip(
                    self._descriptors, pairwise(self.place.bounds), strict=True
                )
            ],
        )

    def close(self) -> None:
        """Let go of the memory; what was read stays."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def __enter__(self) -> Room:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    __del__ = close
