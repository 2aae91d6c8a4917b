"""Classes that were typed into a notebook, and their instances, as something `pickle` can carry.

A class is made from its name and bases, then given what it had. **Invariant**: only a class that was made for
what has arrived is given anything; which one that is, `parallel_python.serialize.identity` knows.
"""

from __future__ import annotations

import abc
import enum
import functools
from collections import namedtuple
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any

from parallel_python.serialize import creation, enums, identity
from parallel_python.serialize.functions import annotations_of
from parallel_python.serialize.naming import module_of

#: What a class has by itself, or what would only repeat what is said elsewhere.
_PASSED_OVER = {
    "__dict__", "__weakref__", "__slots__", "__module__", "__qualname__", "_abc_impl", "__abstractmethods__",
    "__annotate__", "__annotate_func__", "__annotations_cache__", "__classcell__", "__slotnames__",
}  # fmt: skip

#: What a class has to have when it is made.
_NEEDED = ("__slots__", "__orig_bases__")


def reduce_class(cls: type) -> tuple[Any, ...]:
    """Return what `pickle` makes a class from that goes by value."""
    with creation.settled:
        return _reduce(cls)


def _reduce(cls: type) -> tuple[Any, ...]:
    if issubclass(cls, enum.Enum):
        return _reduce_enum(cls)
    if _is_namedtuple(cls):
        return _reduce_namedtuple(cls)
    names = {"__module__": module_of(cls), "__qualname__": cls.__qualname__}
    names |= {name: cls.__dict__[name] for name in _NEEDED if name in cls.__dict__}
    about = identity.about(cls)
    arguments = (type(cls), cls.__name__, cls.__bases__, names, about)
    state = (_attributes(cls, frozenset(names)), _abstract(cls))
    return _make_class, arguments, state, None, None, _fill_class


def _attributes(cls: type, known: frozenset[str] = frozenset()) -> dict[str, Any]:
    slots = (GetSetDescriptorType, MemberDescriptorType)
    found = {
        name: value
        for name, value in cls.__dict__.items()
        if name not in _PASSED_OVER and name not in known and not isinstance(value, slots)
    }
    if "__annotate_func__" in cls.__dict__:
        found["__annotations__"] = annotations_of(cls)
    return found


def _abstract(cls: type) -> list[str] | None:
    return sorted(cls.__abstractmethods__) if isinstance(cls, abc.ABCMeta) else None


def _make_class(
    meta: type, name: str, bases: tuple[type, ...], names: dict[str, Any], about: identity.About
) -> type:
    return identity.once(about, name, names, lambda: creation.new_class(meta, name, bases, dict(names)))


def _fill_class(cls: type, state: tuple[dict[str, Any], list[str] | None]) -> None:
    if identity.is_own(cls):
        return
    attributes, abstract = state
    for name, value in attributes.items():
        if name == "__doc__" and cls.__doc__ == value:
            continue
        setattr(cls, name, value)
        if isinstance(value, functools.cached_property):
            value.__set_name__(cls, name)
    if abstract is not None:
        cls.__abstractmethods__ = frozenset(abstract)  # type: ignore[attr-defined]


def _reduce_enum(cls: type[enum.Enum]) -> tuple[Any, ...]:
    arguments, made = enums.parts_of(cls)
    state = (_attributes(cls, made), enums.attributes_of_members(cls))
    return enums.make_enum, arguments, state, None, None, _fill_enum


def _fill_enum(cls: type[enum.Enum], state: tuple[dict[str, Any], dict[str, dict[str, Any]]]) -> None:
    if not identity.is_own(cls):
        _fill_class(cls, (state[0], None))
        enums.fill_members(cls, state[1])


def _is_namedtuple(cls: type) -> bool:
    return cls.__bases__ == (tuple,) and "_fields" in cls.__dict__ and "_make" in cls.__dict__


def _reduce_namedtuple(cls: Any) -> tuple[Any, ...]:
    plain = namedtuple(cls.__name__, cls._fields)  # type: ignore[misc]
    made = frozenset(name for name in plain.__dict__ if name not in {"__doc__", "__annotations__"})
    made |= frozenset(cls._fields)
    defaults = tuple(cls._field_defaults.values())
    names = {"__module__": module_of(cls), "__qualname__": cls.__qualname__}
    about = identity.about(cls)
    arguments = (cls.__name__, cls._fields, defaults, names, about)
    return _make_namedtuple, arguments, (_attributes(cls, made), None), None, None, _fill_class


def _make_namedtuple(
    name: str,
    fields: tuple[str, ...],
    defaults: tuple[Any, ...],
    names: dict[str, Any],
    about: identity.About,
) -> type:
    def make() -> type:
        made: Any = namedtuple(name, fields, defaults=defaults, module=names["__module__"])  # type: ignore[misc]
        made.__qualname__ = names["__qualname__"]
        cls: type = made
        return cls

    return identity.once(about, name, names, make)
