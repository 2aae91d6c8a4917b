"""What the client API has engines do: a pickled call goes in, its pickled value comes out.

A call is the pickle of ``(function, args, kwargs)``.
"""

from __future__ import annotations

import mmap
import pickle
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parallel_python.engine.shell import EngineShell

#: A buffer's bytes, or where they are: holder, descriptor, offset, length.
Buffer = Any


def run(shell: EngineShell, call: bytes, buffers: list[Buffer]) -> tuple[bytes, list[Buffer]]:
    """Run a call and return its value's pickle and buffers."""
    function, args, kwargs = pickle.loads(call, buffers=[load(buffer) for buffer in buffers])
    out: list[pickle.PickleBuffer] = []
    value = pickle.dumps(function(*args, **kwargs), protocol=5, buffer_callback=out.append)
    return value, [buffer.raw() for buffer in out]


def load(buffer: Buffer) -> Any:
    """Return a buffer's bytes, from shared memory if that is where they are."""
    if not isinstance(buffer, tuple):
        return buffer
    holder, descriptor, offset, length = buffer
    with open(f"/proc/{holder}/fd/{descriptor}", "rb") as file:
        start = offset - offset % mmap.ALLOCATIONGRANULARITY
        flags, protection = mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE
        area = mmap.mmap(file.fileno(), offset - start + length, flags, protection, offset=start)
    return memoryview(area)[offset - start : offset - start + length]
