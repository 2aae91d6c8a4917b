"""What a function of the notebook names in its code, and that the engine may lack: its *helpers*.

Functions, what was made of functions, classes and modules come along and are bound where they arrive.
**Invariant**: a name that the engine has is the engine's; data stays where it is.
"""

from __future__ import annotations

import dis
import importlib
from collections.abc import Iterator
from functools import lru_cache, partial
from types import CodeType, FunctionType, ModuleType
from typing import Any

from parallel_python.serialize.naming import goes_by_value, main_namespace, module_of

#: Helpers that were bound here, by name: those a later arrival may replace.
_bound: dict[str, Any] = {}

#: Where something callable has the function that it was made of; the latter is what `numpy.vectorize` says.
_WRAPPED = ("__wrapped__", "pyfunc")


def helpers_of(function: FunctionType, namespace: dict[str, Any]) -> dict[str, Any]:
    """Return what a function names in a namespace, by name, as far as it comes along."""
    found: dict[str, Any] = {}
    for name in global_names(function.__code__):
        value = namespace.get(name)
        if isinstance(value, ModuleType):
            found[name] = _Imported(value.__name__)
        elif _comes_along(value):
            found[name] = value
    return found


def _comes_along(value: Any) -> bool:
    if isinstance(value, FunctionType):
        return goes_by_value(value)
    if isinstance(value, type):
        return module_of(value) == "__main__"
    inside = value.func if isinstance(value, partial) else _wrapped(value)
    return inside is not None and _comes_along(inside)


def _wrapped(value: Any) -> Any:
    """Return the function that something callable was made of, or None: other values are data, and stay."""
    if not callable(value):
        return None
    try:
        # A value's own code may answer for it, and take its time.
        own = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None
    return next((own[name] for name in _WRAPPED if name in own), None)


class _Imported:
    """A module that a function names; where it arrives, it is the module, or None where there is none."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __reduce__(self) -> tuple[Any, ...]:
        return _import_if_there, (self.name,)


def _import_if_there(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        # The function may never get to where it uses it; if it does, a NameError says so.
        return None


@lru_cache(maxsize=512)
def global_names(code: CodeType) -> tuple[str, ...]:
    """Return the names that code, and code inside it, looks for in its globals."""
    names = {
        instruction.argval: None
        for part in nested(code)
        for instruction in dis.get_instructions(part)
        if instruction.opname in {"LOAD_GLOBAL", "LOAD_NAME"}
    }
    return tuple(names)


def nested(code: CodeType) -> Iterator[CodeType]:
    """Give code and all code inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from nested(constant)


def bind(helpers: dict[str, Any]) -> None:
    """Give the notebook's code here the helpers that it lacks, or has from an earlier arrival."""
    namespace = main_namespace()
    for name, value in helpers.items():
        if value is None:
            continue
        if name not in namespace or (name in _bound and namespace[name] is _bound[name]):
            namespace[name] = _bound[name] = value
