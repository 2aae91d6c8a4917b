"""Which class is which, in all processes: the ids by which classes that were typed in travel.

**Invariant**: a process makes at most one class for an id, and the process that a class comes from none at
all, so that `isinstance` holds on both sides and after a journey there and back.
"""

from __future__ import annotations

import enum
import uuid
import weakref
from collections.abc import Callable
from types import FunctionType
from typing import Any

from parallel_python.serialize.helpers import nested
from parallel_python.serialize.naming import main_namespace

#: What a class travels with: its id, and a digest of what its code says.
About = tuple[str, str]

_ids: weakref.WeakKeyDictionary[type, str] = weakref.WeakKeyDictionary()
_classes: weakref.WeakValueDictionary[str, type] = weakref.WeakValueDictionary()
_own: weakref.WeakSet[type] = weakref.WeakSet()

#: What is no part of a class's code: the module has another name in a process that was spawned, a compiler's
#: notes are of a place or in any order, and `pickle` notes the slots when it has taken an instance.
_UNSAID = {"__module__", "__firstlineno__", "__static_attributes__", "__slotnames__"}

#: Kinds of attributes that look the same in all processes; what is made of them may not.
_SAID = {bool, int, float, str, bytes, tuple, frozenset}


def about(cls: type) -> About:
    """Return what a class travels with."""
    if cls not in _ids:
        _ids[cls] = uuid.uuid4().hex
        _classes[_ids[cls]] = cls
        _own.add(cls)
    return _ids[cls], _fingerprint(cls)


def is_own(cls: type) -> bool:
    """Tell whether a class was made here, so that nothing which arrives may change it."""
    return cls in _own


def once(told: About, name: str, names: dict[str, Any], make: Callable[[], type]) -> type:
    """Return the class that is here already, or the one that is made for what has arrived."""
    found = _find(told, name, names)
    if found is None:
        found = make()
        _ids[found], _classes[told[0]] = told[0], found
    return found


def _find(told: About, name: str, names: dict[str, Any]) -> type | None:
    found = _classes.get(told[0])
    if found is not None:
        return found
    twin = _twin(told, name, names)
    if twin is not None:
        _own.add(twin)
        # It keeps the id that it travelled by, if it has one; the other leads to it from now on.
        _ids.setdefault(twin, told[0])
        _classes[told[0]] = twin
    return twin


def _twin(told: About, name: str, names: dict[str, Any]) -> type | None:
    """Return the class of ``__main__`` that was made here by the same code."""
    if names["__module__"] != "__main__":
        return None
    here: Any = main_namespace().get(names["__qualname__"])
    if isinstance(here, type) and here.__name__ == name and _fingerprint(here) == told[1]:
        return here
    return None


def _fingerprint(cls: type) -> str:
    """Return a digest of what a class's code says, whichever process compiled it."""
    import hashlib

    said: list[object] = [cls.__qualname__, [base.__qualname__ for base in cls.__bases__]]
    members: dict[str, Any] = cls.__dict__.get("_member_map_", {}) if issubclass(cls, enum.Enum) else {}
    for name, value in sorted({**cls.__dict__, **members}.items()):
        if name in _UNSAID:
            continue
        said.append(name)
        value = value._value_ if name in members else value
        function = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
        if isinstance(function, FunctionType):
            said.extend(
                (code.co_code, code.co_names, code.co_varnames, _plain(code.co_consts))
                for code in nested(function.__code__)
            )
        elif type(value) in _SAID:
            said.append(repr(value))
    return hashlib.sha256(repr(said).encode()).hexdigest()[:24]


def _plain(constants: tuple[object, ...]) -> str:
    plain = (value for value in constants if not hasattr(value, "co_code"))
    # Sets are in another order in each process.
    return repr([sorted(map(repr, value)) if isinstance(value, frozenset) else value for value in plain])
