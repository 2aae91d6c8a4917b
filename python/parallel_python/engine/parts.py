"""An engine's parts of large arrays that are gathered: written where the whole is to be.

::

    offer(expression, token, n) ─► what the part is like, or the value itself where it is nothing of the kind
    deliver(token, place, …)    ─► the part is in its place, or the part itself where that is not here
    hand_over(token)            ─► the part itself
    withdraw(token)                nobody wants it any more

**Invariant**: an expression is evaluated once; what was offered is held until it is delivered, or `MOST`
others have been offered since.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import Any, NamedTuple

from parallel_python.copying import is_plain
from parallel_python.engine.operations import pull
from parallel_python.room import Place

#: From this size on, in bytes, of all parts together, one more message is less than what it saves.
WORTH = 16 << 20

#: A part of fewer bytes is not worth a file.
LEAST = 64 << 10

#: So many parts may be waited for; more of them were given up.
MOST = 64

#: Arrays and their bytes, as long as which they cannot be resized.
_offered: OrderedDict[str, tuple[Any, memoryview]] = OrderedDict()


class Offer(NamedTuple):
    """What a part is like, which is held here."""

    #: As `numpy.dtype` takes it.
    dtype: str
    shape: tuple[int, ...]
    #: In bytes.
    size: int


def offer(expression: str, token: str, n: int) -> Any:
    """Return the value of an expression, or an `Offer` where it is one of `n` parts of a large array."""
    value = pull(expression)
    if not is_plain(value) or value.ndim == 0 or value.nbytes < LEAST or value.nbytes * n < WORTH:
        return value
    _offered[token] = value, memoryview(value).cast("B")
    while len(_offered) > MOST:
        _offered.popitem(last=False)
    return Offer(value.dtype.str, value.shape, value.nbytes)


def deliver(token: str, place: Place, offset: int) -> Any:
    """Write what was offered where it is to be, from `offset` on; or return it, where that is elsewhere."""
    value, content = _offered.pop(token)
    is_here = os.environ.get("PARALLEL_PYTHON_BULK") != "mpi" and place.write(content, offset)
    return None if is_here else value


def hand_over(token: str) -> Any:
    """Return what was offered, which is not to be written anywhere."""
    return _offered.pop(token)[0]


def withdraw(token: str) -> None:
    """Hold no longer what was offered: nobody wants it any more."""
    _offered.pop(token, None)
