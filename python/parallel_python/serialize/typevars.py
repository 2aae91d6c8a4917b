"""Type variables and new types that were typed into a notebook, which annotations and generic classes hold.

**Invariant**: a process makes at most one for an id, and the process that it comes from none at all: they are
equal only to themselves.
"""

from __future__ import annotations

import typing
import uuid
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from parallel_python.serialize.naming import find, module_of

_ids: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
_made: WeakValueDictionary[str, Any] = WeakValueDictionary()

#: What is said of a variable, by the keyword that says it.
_SAID = {
    "bound": "__bound__",
    "covariant": "__covariant__",
    "contravariant": "__contravariant__",
    "infer_variance": "__infer_variance__",
}


def reduce_variable(variable: Any) -> Any:
    """Return what `pickle` makes a `TypeVar`, `ParamSpec` or `TypeVarTuple` from that goes by value."""
    if _can_be_imported(variable):
        return NotImplemented
    said = {key: getattr(variable, name, None) for key, name in _SAID.items()}
    keywords = {key: value for key, value in said.items() if value}
    if getattr(variable, "has_default", bool)():
        keywords["default"] = variable.__default__
    arguments = (variable.__name__, *getattr(variable, "__constraints__", ()))
    return _variable, (_id(variable), type(variable), module_of(variable), arguments, keywords)


def reduce_new_type(new: Any) -> Any:
    """Return what `pickle` makes a `NewType` from that goes by value."""
    if _can_be_imported(new):
        return NotImplemented
    return _new_type, (_id(new), module_of(new), new.__name__, new.__qualname__, new.__supertype__)


def reduce_part(part: Any) -> Any:
    """Return what `pickle` makes ``P.args`` or ``P.kwargs`` from."""
    return getattr, (part.__origin__, "args" if isinstance(part, typing.ParamSpecArgs) else "kwargs")


def reduce_forward(forward: typing.ForwardRef) -> Any:
    """Return what `pickle` makes a name that stands for a type from: what it was compiled to stays here."""
    argument, of_class = forward.__forward_is_argument__, forward.__forward_is_class__
    return _forward, (forward.__forward_arg__, forward.__forward_module__, argument, of_class)


def _forward(name: str, module: Any, is_argument: bool, is_class: bool) -> Any:
    return typing.ForwardRef(name, module=module, is_argument=is_argument, is_class=is_class)


def _can_be_imported(named: Any) -> bool:
    module = module_of(named)
    name = getattr(named, "__qualname__", named.__name__)
    return module != "__main__" and find(module, name) is named


def _id(named: Any) -> str:
    if named not in _ids:
        _ids[named] = uuid.uuid4().hex
        _made[_ids[named]] = named
    return _ids[named]


def _once(told: str, make: Callable[[], Any]) -> Any:
    found = _made.get(told)
    if found is None:
        found = make()
        _ids[found], _made[told] = told, found
    return found


def _variable(
    told: str,
    kind: Callable[..., Any],
    module: str | None,
    arguments: tuple[Any, ...],
    keywords: dict[str, Any],
) -> Any:
    def make() -> Any:
        made = kind(*arguments, **keywords)
        made.__module__ = module
        return made

    return _once(told, make)


def _new_type(told: str, module: str | None, name: str, qualname: str, supertype: Any) -> Any:
    def make() -> Any:
        kind: Any = typing.NewType
        made = kind(name, supertype)
        made.__module__, made.__qualname__ = module, qualname
        return made

    return _once(told, make)
