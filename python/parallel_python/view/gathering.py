"""Gathering a large array without joining it: each engine writes its part into the memory of the whole.

::

    offer ─► engines say what their parts are like ─► Room of their size ─► deliver ─► one array

So an array is copied once on its way, and takes its own size of memory while it comes, not twice that. What
is no large array comes with the first answer; parts that do not fit together come as values, to be joined.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from parallel_python import bulk
from parallel_python.client.asyncresult import AsyncResult
from parallel_python.client.submission import Call
from parallel_python.engine import parts
from parallel_python.engine.parts import Offer
from parallel_python.room import Room

if TYPE_CHECKING:
    from parallel_python.client.part import Part
    from parallel_python.view.direct import DirectView
    from parallel_python.view.partition import Map


def gather(view: DirectView, key: str, targets: list[int], mapper: Map) -> Any:
    """Return the sequence whose parts engines hold under a name, in order.

    Parameters
    ----------
    view : DirectView
        Whose engines.
    key : str
        The name, or an expression, which each engine evaluates once.
    targets : list of int
        Which engines, none of them twice.
    mapper : Map
        How what is not written in place is joined.

    Raises
    ------
    CompositeError
        What engines raised.
    OutOfMemory
        When there is no memory for the whole.
    """
    token = uuid.uuid4().hex
    try:
        return _gather(view, key, targets, mapper, token)
    except BaseException:
        # What has failed on one engine, or was interrupted, is held by others.
        with suppress(Exception):
            sent = view.client._apply(targets, parts.withdraw, (token,), {})
            AsyncResult(view.client, sent, "gather", targets, owner=True)
        raise


def _gather(view: DirectView, key: str, targets: list[int], mapper: Map, token: str) -> Any:
    client, label = view.client, view.label
    found = _values(view, client._apply(targets, parts.offer, (key, token, len(targets)), {}, label), targets)
    offering = [place for place, value in enumerate(found) if isinstance(value, Offer)]
    if not offering:
        return mapper.join(found)
    room = _room(found) if len(offering) == len(found) else None
    if room is None:
        those = [targets[place] for place in offering]
        values = _values(view, client._apply(those, parts.hand_over, (token,), {}, label), those)
        for place, value in zip(offering, values, strict=True):
            found[place] = value
        return mapper.join(found)
    # At the end it is closed, also where a traceback still holds it.
    with room:
        calls: list[Call] = [(parts.deliver, (token, room.place, offset), {}) for offset in room.offsets]
        left = _values(view, client._apply_each(targets, calls, calls[0], label), targets)
        for value, offset in zip(left, room.offsets, strict=True):
            if value is not None:
                # Its engine does not share memory with this process.
                room.place.write(memoryview(value).cast("B"), offset)
        return _array(found, room)


def _values(view: DirectView, sent: list[Part], targets: list[int]) -> list[Any]:
    """Wait for what was sent to engines; their values, in order."""
    result = AsyncResult(view.client, view._note(sent), "gather", targets, owner=True)
    values: list[Any] = view._wait(result).get()
    return values


def _room(offers: Sequence[Offer]) -> Room | None:
    """Return memory for parts side by side, if they are of one array and there is a file to be had."""
    first = offers[0]
    if any(one.dtype != first.dtype or one.shape[1:] != first.shape[1:] for one in offers):
        return None
    with suppress(bulk.TooManyFiles):
        return Room([one.size for one in offers])
    return None


def _array(offers: Sequence[Offer], room: Room) -> Any:
    import numpy

    rows = sum(one.shape[0] for one in offers)
    shape = (rows, *offers[0].shape[1:])
    return numpy.frombuffer(room.read(), offers[0].dtype).reshape(shape)
