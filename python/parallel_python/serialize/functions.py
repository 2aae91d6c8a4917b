"""Functions that were typed into a notebook, as something `pickle` can carry.

A function that can be imported travels by its name, as always. Any other travels by value: its code,
defaults, annotations and what it closes over. **Invariant**: the globals of a function that was typed in are
those of the ``__main__`` it arrives in, so that code sent to an engine sees the engine's variables. What a
library's decorator has made of it keeps the library's globals, whatever it says its module is.

What such a function names may come along; see `parallel_python.serialize.helpers`.
"""

from __future__ import annotations

import builtins
import importlib
import marshal
import sys
from collections.abc import Callable
from functools import lru_cache
from types import CellType, CodeType, FunctionType
from typing import Any
from weakref import WeakKeyDictionary

from parallel_python.serialize import sources
from parallel_python.serialize.helpers import bind, global_names, helpers_of
from parallel_python.serialize.naming import MAIN, main_namespace, module_of

__all__ = ["annotations_of", "interactive", "main_namespace", "reduce_cell", "reduce_function"]

#: Byte code of one version of Python means nothing to another.
VERSION = sys.version_info[:2]

#: The globals of what `interactive` has copied.
_written_in: WeakKeyDictionary[FunctionType, dict[str, Any]] = WeakKeyDictionary()


def reduce_function(function: FunctionType, takes: Callable[[Any], bool]) -> tuple[Any, ...]:
    """Return what `pickle` makes a function from that goes by value.

    Parameters
    ----------
    function : function
        The function.
    takes : callable
        Whether a helper comes along.
    """
    code = function.__code__
    closure = function.__closure__ or ()
    home = _home(function)
    own = _own_globals(function) if home is None else None
    written_in = _written_in.get(function, function.__globals__)
    named = helpers_of(function, written_in) if home == "__main__" else {}
    helpers = {name: helper for name, helper in named.items() if takes(helper)}
    state = (
        function.__name__,
        function.__qualname__,
        function.__defaults__,
        function.__kwdefaults__,
        annotations_of(function),
        function.__doc__,
        function.__dict__,
        tuple(_content(cell) for cell in closure),
        own,
        helpers,
        sources.of(code),
    )
    arguments = (VERSION, _dump_code(code, code.co_filename), home, closure, module_of(function))
    return _make_function, arguments, state, None, None, _fill_function


def annotations_of(annotated: Any) -> dict[str, Any]:
    """Return the annotations of a function or class; as text where they name what is not there.

    From Python 3.14 on they are evaluated when they are asked for.
    """
    try:
        found: dict[str, Any] = annotated.__annotations__
        return found
    except Exception:
        annotationlib = importlib.import_module("annotationlib")
        found = annotationlib.get_annotations(annotated, format=annotationlib.Format.STRING)
        return found


def reduce_cell(cell: CellType) -> tuple[Any, ...]:
    """Return what `pickle` makes an empty cell from; the functions that share it fill it."""
    return CellType, ()


@lru_cache(maxsize=512)
def _dump_code(code: CodeType, file: str) -> bytes:
    """Return code as it travels. The same text in two cells is equal code, but of two files."""
    return marshal.dumps(code)


def _content(cell: CellType) -> tuple[Any, ...]:
    try:
        return (cell.cell_contents,)
    except ValueError:
        return ()


def _home(function: FunctionType) -> str | None:
    """Return the module whose globals a function reads, or None where they are those of no module.

    It need not be the one that the function says it is of: `functools.wraps` copies that.
    """
    namespace = function.__globals__
    name = namespace.get("__name__")
    if name in MAIN or namespace is main_namespace():
        return "__main__"
    module = sys.modules.get(name or "")
    return name if module is not None and module.__dict__ is namespace else None


def _own_globals(function: FunctionType) -> dict[str, Any]:
    known = function.__globals__
    return {name: known[name] for name in global_names(function.__code__) if name in known}


def _make_function(
    version: tuple[int, int],
    code: bytes,
    home: str | None,
    closure: tuple[CellType, ...],
    module: str | None,
) -> FunctionType:
    if tuple(version) != VERSION:
        raise TypeError(
            "a function that was typed in can only be sent between equal versions of Python, and this one"
            f" comes from {version[0]}.{version[1]} to {VERSION[0]}.{VERSION[1]}: put it into a module that"
            " both can import"
        )
    if home is None:
        namespace: dict[str, Any] = {"__builtins__": builtins, "__name__": module}
    elif home == "__main__":
        namespace = main_namespace()
    else:
        namespace = importlib.import_module(home).__dict__
    function = FunctionType(marshal.loads(code), namespace, None, None, closure or None)
    function.__module__ = module  # type: ignore[assignment]  # None is a value that functions have
    return function


def _fill_function(function: FunctionType, state: tuple[Any, ...]) -> None:
    (
        function.__name__,
        function.__qualname__,
        function.__defaults__,
        function.__kwdefaults__,
        function.__annotations__,
        function.__doc__,
        attributes,
        contents,
        own,
        helpers,
        source,
    ) = state
    function.__dict__.update(attributes)
    for cell, content in zip(function.__closure__ or (), contents, strict=True):
        if content:
            cell.cell_contents = content[0]
    if own is not None:
        function.__globals__.update(own)
    bind(helpers)
    sources.remember(source)


def interactive(function: Callable[..., Any] | type) -> Any:
    """Decorate a function or class so that it behaves as if it had been typed into the notebook.

    Its globals are then those of ``__main__``, here and on an engine, wherever it was defined. Modules that
    it names come along, as with any function.

    Returns
    -------
    function or class
        The same class, or a copy of the function, that says it is of ``__main__``.
    """
    if isinstance(function, FunctionType):
        copy = FunctionType(
            function.__code__,
            main_namespace(),
            function.__name__,
            function.__defaults__,
            function.__closure__,
        )
        copy.__kwdefaults__ = function.__kwdefaults__
        copy.__dict__.update(function.__dict__)
        copy.__doc__, copy.__annotations__ = function.__doc__, annotations_of(function)
        copy.__qualname__ = function.__qualname__
        _written_in[copy] = function.__globals__
        function = copy
    function.__module__ = "__main__"
    return function
