"""Classes that were typed into a notebook, and their instances, as something `pickle` can carry.

A class travels with an id. **Invariant**: a process makes at most one class for an id, and the process that a
class comes from none at all, so that `isinstance` holds on both sides and after a journey there and back.
"""

from __future__ import annotations

import abc
import enum
import functools
import uuid
import weakref
from collections import namedtuple
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import Any

from parallel_python.serialize.functions import annotations_of, main_namespace, nested

_ids: weakref.WeakKeyDictionary[type, str] = weakref.WeakKeyDictionary()
_classes: weakref.WeakValueDictionary[str, type] = weakref.WeakValueDictionary()
_own: weakref.WeakSet[type] = weakref.WeakSet()

#: What a class has by itself, or what would only repeat what is said elsewhere.
_PASSED_OVER = {
    "__dict__", "__weakref__", "__slots__", "__module__", "__qualname__", "_abc_impl", "__abstractmethods__",
    "__annotate__", "__annotate_func__", "__annotations_cache__", "__classcell__",
}  # fmt: skip


def reduce_class(cls: type) -> tuple[Any, ...]:
    """Return what `pickle` makes a class from that goes by value."""
    if issubclass(cls, enum.Enum):
        return _reduce_enum(cls)
    if _is_namedtuple(cls):
        return _reduce_namedtuple(cls)
    names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    if "__slots__" in cls.__dict__:
        names["__slots__"] = cls.__dict__["__slots__"]
    about = (_id(cls), _fingerprint(cls))
    arguments = (type(cls), cls.__name__, cls.__bases__, names, about)
    return _make_class, arguments, (_attributes(cls), _abstract(cls)), None, None, _fill_class


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


def _id(cls: type) -> str:
    if cls not in _ids:
        _ids[cls] = uuid.uuid4().hex
        _classes[_ids[cls]] = cls
        _own.add(cls)
    return _ids[cls]


def _known(about: tuple[str, str]) -> type | None:
    return _classes.get(about[0])


def _twin(cls_name: str, names: dict[str, Any], about: tuple[str, str]) -> type | None:
    """Return the class of ``__main__`` that was made here by the same code."""
    if names["__module__"] != "__main__":
        return None
    here: Any = main_namespace().get(names["__qualname__"])
    if isinstance(here, type) and here.__name__ == cls_name and _fingerprint(here) == about[1]:
        return here
    return None


def _register(cls: type, about: tuple[str, str]) -> None:
    _ids[cls] = about[0]
    _classes[about[0]] = cls


def _make_class(
    meta: type, name: str, bases: tuple[type, ...], names: dict[str, Any], about: tuple[str, str]
) -> type:
    found = _known(about)
    if found is not None:
        return found
    twin = _twin(name, names, about)
    if twin is not None:
        _own.add(twin)
        # It keeps the id that it travelled by, if it has one; the other leads to it from now on.
        _ids.setdefault(twin, about[0])
        _classes[about[0]] = twin
        return twin
    cls: type = meta(name, bases, dict(names))
    _register(cls, about)
    return cls


def _fill_class(cls: type, state: tuple[dict[str, Any], list[str] | None]) -> None:
    if cls in _own:
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
    members = {name: member._value_ for name, member in cls.__members__.items()}
    made = frozenset(dir(enum.Enum)) | frozenset(members) | _ENUM_OWN
    names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    arguments = (type(cls), cls.__name__, cls.__bases__, names, members, (_id(cls), _fingerprint(cls)))
    return _make_enum, arguments, (_attributes(cls, made), None), None, None, _fill_class


_ENUM_OWN = frozenset({
    "_member_map_", "_member_names_", "_member_type_", "_value2member_map_", "_unhashable_values_",
    "__new__", "_unhashable_values_map_", "_hashable_values_", "_new_member_", "_use_args_",
    "_value_repr_", "_generate_next_value_", "_flag_mask_", "_all_bits_", "_singles_mask_",
    "_boundary_", "_inverted_", "__new_member__", "__or__", "__and__", "__xor__", "__invert__",
    "__ror__", "__rand__", "__rxor__",
})  # fmt: skip


def _make_enum(
    meta: Any,
    name: str,
    bases: tuple[type, ...],
    names: dict[str, Any],
    members: dict[str, Any],
    about: tuple[str, str],
) -> type:
    found = _known(about) or _twin(name, names, about)
    if found is None:
        namespace = meta.__prepare__(name, bases)
        for key, value in (*names.items(), *members.items()):
            namespace[key] = value
        found = meta(name, bases, namespace)
    elif _known(about) is None:
        _own.add(found)
    _register(found, about)
    return found


def _is_namedtuple(cls: type) -> bool:
    return cls.__bases__ == (tuple,) and "_fields" in cls.__dict__ and "_make" in cls.__dict__


def _reduce_namedtuple(cls: Any) -> tuple[Any, ...]:
    plain = namedtuple(cls.__name__, cls._fields)  # type: ignore[misc]
    made = frozenset(name for name in plain.__dict__ if name not in {"__doc__", "__annotations__"})
    made |= frozenset(cls._fields)
    defaults = tuple(cls._field_defaults.values())
    names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    about = (_id(cls), _fingerprint(cls))
    arguments = (cls.__name__, cls._fields, defaults, names, about)
    return _make_namedtuple, arguments, (_attributes(cls, made), None), None, None, _fill_class


def _make_namedtuple(
    name: str,
    fields: tuple[str, ...],
    defaults: tuple[Any, ...],
    names: dict[str, Any],
    about: tuple[str, str],
) -> type:
    found: Any = _known(about) or _twin(name, names, about)
    if found is None:
        found = namedtuple(name, fields, defaults=defaults, module=names["__module__"])  # type: ignore[misc, no-redef]
        found.__qualname__ = names["__qualname__"]  # type: ignore[attr-defined]
    elif _known(about) is None:
        _own.add(found)
    _register(found, about)
    cls: type = found
    return cls


def _fingerprint(cls: type) -> str:
    """Return a digest of what a class's code says, whichever process compiled it."""
    import hashlib

    said: list[object] = [cls.__qualname__, [base.__qualname__ for base in cls.__bases__]]
    for name, value in sorted(cls.__dict__.items()):
        function = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
        said.append(name)
        if isinstance(function, FunctionType):
            said.extend(
                (code.co_code, code.co_names, code.co_varnames, _plain(code.co_consts))
                for code in nested(function.__code__)
            )
        elif isinstance(value, int | float | str | bytes | tuple | frozenset):
            said.append(repr(value))
    return hashlib.sha256(repr(said).encode()).hexdigest()[:24]


def _plain(constants: tuple[object, ...]) -> str:
    return repr([value for value in constants if not hasattr(value, "co_code")])
