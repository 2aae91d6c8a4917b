"""The low-level names by which ipyparallel takes values apart, on this package's own pickles."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from parallel_python.serialize.pickling import dumps, loads


class PrePickled:
    """A value that is pickled once, however often it is sent.

    Parameters
    ----------
    obj : object
        The value; where it arrives, it is the value itself.
    """

    def __init__(self, obj: Any) -> None:
        self.data, self.buffers, _ = dumps(obj)

    def get_object(self) -> Any:
        """Return the value, made anew; large arrays in it are those of the original."""
        return loads(self.data, self.buffers)

    def __reduce__(self) -> tuple[Any, ...]:
        return loads, (self.data, [pickle.PickleBuffer(buffer) for buffer in self.buffers])


def can(obj: Any) -> Any:
    """Return a value in a form that any pickler can take."""
    return PrePickled(obj) if callable(obj) else obj


def uncan(obj: Any, g: Mapping[str, Any] | None = None) -> Any:
    """Undo `can`; a `Reference` is looked up in `g`."""
    from parallel_python.remoting.reference import resolve

    found = obj.get_object() if isinstance(obj, PrePickled) else obj
    return found if g is None else resolve(found, g)


#: Kinds of values and how they are taken apart: there is one way for all.
can_map: dict[Any, Callable[[Any], Any]] = {object: can}
uncan_map: dict[Any, Callable[..., Any]] = {PrePickled: uncan}


def serialize_object(
    obj: Any, buffer_threshold: int = 0, item_threshold: int = 0
) -> list[bytes | memoryview]:
    """Return a pickle and the buffers beside it; `deserialize_object` takes them."""
    data, buffers, _ = dumps(obj)
    return [len(buffers).to_bytes(4, "little") + data, *buffers]


def deserialize_object(buffers: Sequence[Any], g: Mapping[str, Any] | None = None) -> tuple[Any, list[Any]]:
    """Return a value, and the buffers that are not its own."""
    head, *rest = buffers
    head = bytes(head)
    count = int.from_bytes(head[:4], "little")
    return uncan(loads(head[4:], rest[:count]), g), list(rest[count:])


def pack_apply_message(
    f: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], **thresholds: int
) -> list[bytes | memoryview]:
    """Return a call as `unpack_apply_message` takes it."""
    return serialize_object((f, tuple(args), dict(kwargs)))


def unpack_apply_message(
    bufs: Sequence[Any], g: Mapping[str, Any] | None = None, copy: bool = True
) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    """Return function, arguments and keyword arguments."""
    found: tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]] = deserialize_object(bufs, g)[0]
    return found
