"""Values as pickles (protocol 5), with large buffers beside them.

``dumps`` and ``loads`` are the only way by which values leave and enter a process; both sides of the API use
them. Buffers of at least `THRESHOLD` bytes are not copied into the pickle: `parallel_python.bulk` carries
them.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import importlib
import io
import pickle
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

from parallel_python.serialize import choice
from parallel_python.serialize.classes import reduce_class
from parallel_python.serialize.enums import reduce_member
from parallel_python.serialize.functions import reduce_cell, reduce_function
from parallel_python.serialize.naming import goes_by_value
from parallel_python.serialize.typevars import reduce_forward, reduce_new_type, reduce_part, reduce_variable
from parallel_python.serialize.wrappers import (
    is_dispatcher,
    reduce_cache,
    reduce_dispatcher,
    reduce_method_dispatcher,
)

#: From this size on, in bytes, a buffer is shared instead of copied, and a pickle is such a buffer itself.
#: Measured with 2, 4 and 16 engines, one or all of them, there and back: from 64 KB on a message is slower,
#: with 250 KB it takes twice as long.
THRESHOLD = 64 * 1024

#: Kinds of values that every pickler takes as they are.
_PLAIN = frozenset({int, float, complex, bool, type(None)})

#: A list with more items is not looked through.
_MANY = 64

#: A pickle with this in it, or behind it, may hold references.
REFERENCE = b"parallel_python.remoting.reference"

#: Set in ``__flags__`` of classes that were made by running code.
_HEAP_TYPE = 1 << 9

#: Values of `dataclasses` that are recognised by being the same object.
_SENTINELS = {
    id(getattr(dataclasses, name)): name
    for name in ("MISSING", "_FIELD", "_FIELD_CLASSVAR", "_FIELD_INITVAR", "_HAS_DEFAULT_FACTORY", "KW_ONLY")
    if hasattr(dataclasses, name)
}


def take_large(buffers: list[memoryview], buffer: pickle.PickleBuffer) -> bool:
    """Keep a large buffer outside (false), have a small one copied into the pickle (true)."""
    try:
        raw = buffer.raw()
    except BufferError:
        return True
    if raw.nbytes < THRESHOLD:
        return True
    buffers.append(raw)
    return False


class Pickler(pickle.Pickler):
    """Python's pickler, which can also take what was typed into a notebook.

    Parameters
    ----------
    file : io.BytesIO
        Where the pickle goes.
    with_helpers : bool
        Whether functions bring what they name along; see `parallel_python.serialize.helpers`.
    tried : dict, optional
        Then each of those is tried by itself, and left out if it cannot be sent. By id: which can.

    Attributes
    ----------
    buffers : list of memoryview
        The buffers that stay outside.
    references : bool
        Whether a `Reference` is in the pickle.
    """

    def __init__(
        self, file: io.BytesIO, *, with_helpers: bool = True, tried: dict[int, bool] | None = None
    ) -> None:
        self.buffers: list[memoryview] = []
        # Not a method of ours: a pickler that holds itself would hold the buffers until a collection.
        super().__init__(file, 5, buffer_callback=partial(take_large, self.buffers))
        self.references = False
        self._with_helpers = with_helpers
        self._tried = tried

    def takes(self, helper: Any) -> bool:
        """Tell whether what a function names comes along with it."""
        return self._with_helpers and (self._tried is None or _can_be_sent(helper, self._tried))

    def reducer_override(self, value: Any) -> Any:
        """Return how to carry what `pickle` by itself cannot."""
        if isinstance(value, type):
            return _class(value)
        reduce = _REDUCERS.get(type(value))
        if reduce is not None:
            return reduce(self, value)
        return reduce_member(value) if isinstance(type(value), enum.EnumType) else NotImplemented


def _class(cls: type) -> Any:
    if not goes_by_value(cls):
        return NotImplemented
    if cls.__flags__ & _HEAP_TYPE:
        return reduce_class(cls)
    name = next((name for name, value in vars(types).items() if value is cls), None)
    return NotImplemented if name is None else (getattr, (types, name))


def _function(pickler: Pickler, value: FunctionType) -> Any:
    if not goes_by_value(value):
        return NotImplemented
    if is_dispatcher(value):
        return reduce_dispatcher(value)
    return reduce_function(value, pickler.takes)


def _module(pickler: Pickler, value: ModuleType) -> Any:
    return importlib.import_module, (value.__name__,)


def _sentinel(pickler: Pickler, value: Any) -> Any:
    return _SENTINELS.get(id(value), NotImplemented)


def _cached_property(pickler: Pickler, value: functools.cached_property[Any]) -> Any:
    return functools.cached_property, (value.func,)


def _memoryview(pickler: Pickler, value: memoryview) -> Any:
    content = value if value.c_contiguous else value.tobytes()
    # Python makes views of simple items alone; others arrive as the bytes they are.
    if not value.nbytes or value.format not in _SIMPLE:
        return memoryview, (pickle.PickleBuffer(memoryview(content).cast("B") if value.nbytes else b""),)
    return _view_of, (pickle.PickleBuffer(content), value.format, value.shape)


#: Formats of `memoryview.cast`.
_SIMPLE = frozenset("cbB?hHiIlLqQnNfdP")


def _view_of(buffer: Any, format: str, shape: tuple[int, ...]) -> memoryview:
    return memoryview(buffer).cast("B").cast(format, shape)  # type: ignore[call-overload,no-any-return]


def _method(pickler: Pickler, value: MethodType) -> Any:
    """By its name, as pickle has it, only where that finds it: a decorator may have given another name."""
    found = getattr(value.__self__, getattr(value.__func__, "__name__", ""), None)
    return NotImplemented if found == value else (MethodType, (value.__func__, value.__self__))


_REDUCERS: dict[type, Callable[[Pickler, Any], Any]] = {
    FunctionType: _function,
    MethodType: _method,
    memoryview: _memoryview,
    CellType: lambda pickler, value: reduce_cell(value),
    ModuleType: _module,
    types.MappingProxyType: lambda pickler, value: (types.MappingProxyType, (dict(value),)),
    property: lambda pickler, value: (property, (value.fget, value.fset, value.fdel, value.__doc__)),
    classmethod: lambda pickler, value: (classmethod, (value.__func__,)),
    staticmethod: lambda pickler, value: (staticmethod, (value.__func__,)),
    functools.cached_property: _cached_property,
    functools._lru_cache_wrapper: lambda pickler, value: reduce_cache(value),
    functools.singledispatchmethod: lambda pickler, value: reduce_method_dispatcher(value),
    typing.TypeVar: lambda pickler, value: reduce_variable(value),
    typing.ParamSpec: lambda pickler, value: reduce_variable(value),
    typing.TypeVarTuple: lambda pickler, value: reduce_variable(value),
    typing.ParamSpecArgs: lambda pickler, value: reduce_part(value),
    typing.ParamSpecKwargs: lambda pickler, value: reduce_part(value),
    typing.ForwardRef: lambda pickler, value: reduce_forward(value),
    typing.NewType: lambda pickler, value: reduce_new_type(value),
    type(dataclasses.MISSING): _sentinel,
    type(dataclasses._FIELD): _sentinel,  # type: ignore[attr-defined]
    type(dataclasses._HAS_DEFAULT_FACTORY): _sentinel,  # type: ignore[attr-defined]
}


def _reference(pickler: Pickler, value: Any) -> Any:
    pickler.references = True
    return NotImplemented


def register_reference(cls: type) -> None:
    """Have pickles know when they hold one of these."""
    _REDUCERS[cls] = _reference


def are_plain(values: Iterable[Any]) -> bool:
    """Whether all values are numbers and the like, which need nothing of what `Pickler` can do."""
    return all(map(_PLAIN.__contains__, map(type, values)))


def dumps(value: Any, *, with_helpers: bool = True) -> tuple[bytes, list[memoryview], bool]:
    """Pickle a value.

    Returns
    -------
    pickle : bytes
        The pickle.
    buffers : list of memoryview
        The buffers that it leaves out, in order.
    references : bool
        Whether there is a `Reference` in it.
    """
    if choice.other is not None:
        return choice.other(value)
    if type(value) in _PLAIN or (type(value) is list and len(value) <= _MANY and are_plain(value)):
        # Nothing in it needs more than what is fastest.
        data = pickle.dumps(value, 5)
        if len(data) < THRESHOLD:
            return data, [], False
    file = io.BytesIO()
    pickler = Pickler(file, with_helpers=with_helpers)
    try:
        pickler.dump(value)
    except Exception:
        if not with_helpers:
            raise
        # A function may name what cannot be sent, and never use it there.
        file = io.BytesIO()
        pickler = Pickler(file, tried={})
        pickler.dump(value)
    if file.tell() >= THRESHOLD:
        return _outside(file, pickler)
    return file.getvalue(), pickler.buffers, pickler.references


def _can_be_sent(helper: Any, tried: dict[int, bool]) -> bool:
    if id(helper) not in tried:
        # So that those who name each other are not tried for ever.
        tried[id(helper)] = True
        try:
            Pickler(io.BytesIO(), tried=tried).dump(helper)
        except Exception:
            tried[id(helper)] = False
    return tried[id(helper)]


def _outside(file: io.BytesIO, pickler: Pickler) -> tuple[bytes, list[memoryview], bool]:
    """Return a pickle that is itself a buffer: messages are no place for many megabytes."""
    buffers = [file.getbuffer(), *pickler.buffers]
    data = pickle.dumps(_Outside(buffers), 5, buffer_callback=lambda buffer: False)
    return data + (REFERENCE if pickler.references else b""), buffers, pickler.references


class _Outside:
    """What a pickle whose contents are in a buffer makes."""

    def __init__(self, buffers: list[memoryview]) -> None:
        self.buffers = buffers

    def __reduce__(self) -> tuple[Any, ...]:
        data, *buffers = map(pickle.PickleBuffer, self.buffers)
        return loads, (data, buffers)


def loads(data: bytes, buffers: Sequence[Any] = ()) -> Any:
    """Make a value from its pickle and the buffers beside it, which it keeps instead of copying them."""
    return pickle.loads(data, buffers=buffers)
