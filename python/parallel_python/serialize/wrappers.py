"""What `functools` makes of functions that were typed into a notebook: caches and dispatchers.

They travel as what they were made from. **Invariant**: where they arrive a cache is empty, and a dispatcher
has the functions that had been registered.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any

from parallel_python.serialize.naming import goes_by_value

#: The code that every function has which `functools.singledispatch` makes.
_DISPATCHER = functools.singledispatch(len).__code__  # type: ignore[attr-defined]

#: What a cache has by itself.
_OF_CACHE = "cache_parameters"


def reduce_cache(cache: Any) -> Any:
    """Return what `pickle` makes a function with a cache from that goes by value."""
    if not goes_by_value(cache):
        return NotImplemented
    attributes = {name: value for name, value in cache.__dict__.items() if name != _OF_CACHE}
    return _cache, (cache.__wrapped__, cache.cache_parameters()), attributes


def is_dispatcher(function: FunctionType) -> bool:
    """Tell whether a function chooses another one by the type of its argument."""
    return function.__code__ is _DISPATCHER


def reduce_dispatcher(dispatcher: Any) -> tuple[Any, ...]:
    """Return what `pickle` makes from a function of `functools.singledispatch` that goes by value."""
    others = {kind: function for kind, function in dispatcher.registry.items() if kind is not object}
    return functools.singledispatch, (dispatcher.registry[object],), others, None, None, _register


def reduce_method_dispatcher(dispatcher: Any) -> tuple[Any, ...]:
    """Return what `pickle` makes a `functools.singledispatchmethod` from: its cache stays here."""
    return _method_dispatcher, (dispatcher.func, dispatcher.dispatcher)


def _method_dispatcher(function: Callable[..., Any], dispatcher: Any) -> Any:
    method = functools.singledispatchmethod(function)
    method.dispatcher = dispatcher
    return method


def _cache(function: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    return functools.lru_cache(**parameters)(function)


def _register(dispatcher: Any, others: dict[type, Callable[..., Any]]) -> None:
    for kind, function in others.items():
        dispatcher.register(kind, function)
