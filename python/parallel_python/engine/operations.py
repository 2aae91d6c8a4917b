"""What a client's calls do on an engine.

`run` takes a pickled call and returns its pickled value. Everything else here is called by such calls,
under the names that `parallel_python.view` uses; each works on the engine's namespace.
"""

from __future__ import annotations

import keyword
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from parallel_python import bulk
from parallel_python.serialize import choice, dumps, loads
from parallel_python.serialize.functions import main_namespace
from parallel_python.serialize.pickling import REFERENCE

if TYPE_CHECKING:
    from parallel_python.engine.shell import EngineShell


#: The file of expressions, which is one of ours.
EXPRESSION = "parallel_python/expression"


def run(shell: EngineShell, data: bytes, blobs: Sequence[bytes | bulk.Shared]) -> tuple[bytes, list[Any]]:
    """Make a call.

    Parameters
    ----------
    shell : EngineShell
        The engine's shell.
    data : bytes
        The pickle of ``(function, args, kwargs)``; for a part of a map, of `map_packed`'s function and
        sequences: two, so that nothing that is called can be taken for it, and no mark has to be sent.
    blobs : list
        The buffers beside it.

    Returns
    -------
    data, blobs
        The value in the same form.
    """
    try:
        call = loads(data, bulk.receive(blobs))
        if len(call) == 2 and type(call[1]) is tuple:
            # The sequences are pickled by themselves.
            call = call[0], loads(*call[1])
    except ModuleNotFoundError as error:
        raise _not_here(error) from None
    if REFERENCE in data:
        from parallel_python.remoting.reference import resolve

        # Of a map's function only the pickle is here, in which nothing is found.
        call = resolve(call, shell.user_ns)
    if len(call) == 2:
        (token, packed, buffers), sequences = call
        return pack(map_packed(token, packed, buffers, sequences))
    function, args, kwargs = call
    return pack(function(*args, **kwargs))


def _not_here(error: ModuleNotFoundError) -> ModuleNotFoundError:
    return ModuleNotFoundError(
        f"{error}: what was sent is of a module that engines cannot import. Have them find it,"
        ' `view.execute("import sys; sys.path.append(…)")`, or send a function of it by value,'
        " `ipp.interactive(f)`",
        name=error.name,
    )


def pack(value: Any, what: str = "the result") -> tuple[bytes, list[Any]]:
    """Pickle a value, its large buffers in shared memory that the kernel takes over."""
    try:
        data, buffers, _ = dumps(value, with_helpers=False)
    except Exception as error:
        from parallel_python.serialize.diagnosis import refuse

        raise refuse(error, {what: value}) from None
    blobs, file = bulk.share(buffers)
    if file is not None:
        # The kernel says when it has opened it; then Rust closes it.
        file.descriptor = -1
    return data, blobs


#: What stood in place of pushed values. The memory of large ones is freed when the client has its answer.
_replaced: list[Any] = []


def let_go() -> None:
    """Let go of what has been replaced; to be called when the call's end is reported."""
    if _replaced:
        _replaced.clear()


def push(values: dict[str, Any]) -> None:
    """Bind values to names; a name may also be what stands left of an assignment, as ``a.b`` or ``a[0]``."""
    names = main_namespace()
    for name, value in values.items():
        if name.isidentifier():
            _replaced.append(names.get(name))
            names[name] = value
        else:
            exec(compile(f"{name} = __pushed__", EXPRESSION, "exec"), names, {"__pushed__": value})


def pull(names: str | Sequence[str]) -> Any:
    """Return the value of an expression, or the list of those of several."""
    if isinstance(names, str):
        return _evaluate(names)
    return [_evaluate(name) for name in names]


def _evaluate(expression: str) -> Any:
    """Return the value of an expression; a traceback has no line to show of it."""
    names = main_namespace()
    if expression in names and expression.isidentifier() and not keyword.iskeyword(expression):
        # What the expression gives: to compile it takes as long as the rest of the call.
        return names[expression]
    return eval(compile(expression.strip(), EXPRESSION, "eval"), names)


#: What IPython calls the cells that it has run.
_INPUT = re.compile(r"_i\d+").fullmatch


def clear() -> None:
    """Forget everything that cells and calls have left: in the namespace, in ``Out`` and in ``In``."""
    from IPython import get_ipython

    shell = get_ipython()
    names = shell.user_ns
    shell.displayhook.flush()
    history = shell.history_manager
    for inputs in (history.input_hist_parsed, history.input_hist_raw):
        # Their number is the execution count, which goes on.
        inputs[:] = [""] * len(inputs)
    history._i00 = history._i = history._ii = history._iii = ""
    kept = set(shell.user_ns_hidden) | {"__builtins__", "__builtin__", "__name__", "__doc__"}
    for name in [name for name in names if name not in kept or _INPUT(name)]:
        shell.user_ns_hidden.pop(name, None)
        del names[name]
    last = dict.fromkeys(("_", "__", "___", "_i", "_ii", "_iii"), "")
    names.update(last)
    shell.user_ns_hidden.update(last)


def use_serializer(name: str) -> None:
    """Pickle by ``pickle``, ``dill`` or ``cloudpickle`` from here on."""
    choice.use(name)


def map_part(function: Callable[..., Any], *sequences: Iterable[Any]) -> list[Any]:
    """Call a function with the items of sequences."""
    return _values(function, sequences)


def _values(function: Callable[..., Any], sequences: Sequence[Iterable[Any]]) -> list[Any]:
    """Return what a function gives; `map` would take its StopIteration for the end of the sequences."""
    if len(sequences) == 1:
        return [function(item) for item in sequences[0]]
    return [function(*items) for items in zip(*sequences, strict=False)]


#: Functions of maps that run here, by the token of their map. One with large data is made anew for each task,
#: which copies nothing: kept, it would hold its data when the map has long ended. So is one in which a call
#: may leave something: no task may depend on which others its engine has done.
_functions: OrderedDict[str, Callable[..., Any]] = OrderedDict()


def map_packed(
    token: str, function: bytes, buffers: Sequence[Any], sequences: Sequence[Sequence[Any]]
) -> list[Any]:
    """Call a function, which is pickled once for all tasks of one map, with the items of sequences."""
    unpacked = _functions.get(token)
    if unpacked is None:
        try:
            unpacked = loads(function, buffers)
        except ModuleNotFoundError as error:
            raise _not_here(error) from None
        if REFERENCE in function:
            from parallel_python.remoting.reference import resolve

            unpacked = resolve(unpacked, main_namespace())
        if not buffers and _is_stateless(unpacked):
            _functions[token] = unpacked
        while len(_functions) > 32:
            _functions.popitem(last=False)
    return _values(unpacked, sequences)


def _is_stateless(function: Any) -> bool:
    """Tell whether calls of a function leave nothing in it for the next one."""
    if isinstance(function, FunctionType):
        kept = function.__closure__, function.__defaults__, function.__kwdefaults__, function.__dict__
        return not any(kept)
    if isinstance(function, BuiltinFunctionType):
        return function.__self__ is None or isinstance(function.__self__, ModuleType)
    return isinstance(function, type)


def map_each(function: Callable[..., Any], *sequences: Any) -> Any:
    """Call a function with parts of sequences."""
    return function(*sequences)


def import_module(name: str, names: Sequence[str] = ()) -> None:
    """Run ``import name`` in the namespace, or ``from name import names``."""
    statement = f"from {name} import {', '.join(names)}" if names else f"import {name}"
    exec(statement, main_namespace())
