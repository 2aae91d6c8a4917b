"""Work as it is submitted: pickled once, its large buffers shared."""

from __future__ import annotations

import pickle
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from parallel_python import bulk
from parallel_python.client.clientlink import Submission
from parallel_python.client.task import Task
from parallel_python.engine import operations
from parallel_python.serialize import dumps
from parallel_python.serialize.pickling import are_plain

Dep = tuple[list[str], bool, bool, bool]

#: A pickle, the buffers beside it, and the file that they are in if they are in one.
Packed = tuple[bytes, list[Any], bulk.File]


class Balance(NamedTuple):
    """Where work may go that the kernel balances; as `ClientLink.submit` takes it."""

    kind: str = "any"
    targets: list[int] | None = None
    retries: int = 0
    timeout: float | None = None
    after: Dep | None = None
    follow: Dep | None = None


def name_of(function: Any) -> str:
    """Return a function's name for people."""
    return str(getattr(function, "__name__", None) or type(function).__name__)


def apply(
    task: Task, targets: list[int], function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Submission:
    """Return a call as it is submitted to engines.

    Raises
    ------
    pickle.PicklingError
        When something in it cannot be sent; the text names it.
    """
    return _submission(task, targets, function, pack_call(function, args, kwargs))


def apply_each(
    tasks: Sequence[Task], targets: Sequence[int], calls: Sequence[Call], undivided: Call
) -> list[Submission]:
    """Return calls as they are submitted, each to an engine of its own: those in which another was divided.

    The large buffers of several are written at a time.

    Raises
    ------
    pickle.PicklingError
        When something in one of them cannot be sent; the text names it by its place in the undivided call.
    """
    pickled = [_pickled(call, undivided) for call in calls]
    shared = bulk.share_each([buffers for _, buffers in pickled])
    return [
        _submission(task, [target], call[0], (data, *blobs_and_file))
        for task, target, call, (data, _), blobs_and_file in zip(
            tasks, targets, calls, pickled, shared, strict=True
        )
    ]


def _submission(task: Task, targets: list[int], function: Any, packed: Packed) -> Submission:
    data, blobs, task.file = packed
    return task.name, task.label or f"apply({name_of(function)})", list(targets), ("apply", data, blobs)


def pack_call(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Packed:
    """Pickle a call.

    Raises
    ------
    pickle.PicklingError
        When something in it cannot be sent; the text names it.
    """
    call = (function, args, kwargs)
    data, buffers = _pickled(call, call)
    return data, *bulk.share(buffers)


def _pickled(call: Call, whole: Call) -> tuple[bytes, list[memoryview]]:
    """Pickle a call; an error speaks of the whole that it is a part of."""
    function, args, kwargs = call
    try:
        data, buffers, _ = dumps((function, tuple(args), dict(kwargs)))
    except Exception as error:
        raise _refusal(error, whole) from None
    return data, buffers


#: One for all tasks that have none, which the garbage collector need not look at one by one.
NO_BLOBS: list[Any] = []


class PackedFunction(NamedTuple):
    """A function that is pickled once for all tasks of a map, its large buffers shared once."""

    #: What engines know it by.
    token: str
    data: bytes
    buffers: list[pickle.PickleBuffer]
    blobs: list[Any]
    file: bulk.SharedFile | None


def pack_function(function: Callable[..., Any]) -> PackedFunction:
    """Pickle a function once for all tasks of a map."""
    try:
        data, buffers, _ = dumps(function)
    except Exception as error:
        from parallel_python.serialize.diagnosis import refuse

        raise refuse(error, {f"the function `{name_of(function)}`": function}) from None
    outside = [pickle.PickleBuffer(buffer) for buffer in buffers]
    return PackedFunction(uuid.uuid4().hex, data, outside, *bulk.share(buffers))


def pack_chunk(packed: PackedFunction, chunk: Sequence[Sequence[Any]], start: int) -> Packed:
    """Pickle the arguments of one task of a map, the first of which is number `start` in the whole."""
    try:
        data, buffers = _pickled_chunk(packed, chunk)
    except Exception as error:
        from parallel_python.serialize.diagnosis import refuse

        arguments = {f"argument {number}": values for number, values in enumerate(chunk, start=1)}
        raise refuse(error, arguments, start) from None
    return _with_common(packed, data, *bulk.share(buffers))


def map_each(
    tasks: Sequence[Task],
    targets: Sequence[int],
    function: Callable[..., Any],
    chunks: Sequence[Sequence[Any]],
    whole: Sequence[Any],
) -> list[Submission]:
    """Return the tasks of a map as they are submitted, each to an engine of its own.

    The large buffers of several are written at a time.

    Raises
    ------
    pickle.PicklingError
        When something in it cannot be sent; the text names it by its place in the whole sequences.
    """
    packed = pack_function(function)
    try:
        pickled = [_pickled_chunk(packed, chunk) for chunk in chunks]
    except Exception as error:
        raise _refusal(error, (operations.map_part, (function, *whole), {})) from None
    shared = bulk.share_each([buffers for _, buffers in pickled])
    return [
        _submission(task, [target], operations.map_part, _with_common(packed, data, *blobs_and_file))
        for task, target, (data, _), blobs_and_file in zip(tasks, targets, pickled, shared, strict=True)
    ]


#: A sequence of so many items or fewer is looked at one by one.
_FEW_ITEMS = 1000


def _pickled_chunk(packed: PackedFunction, chunk: Sequence[Sequence[Any]]) -> tuple[bytes, list[memoryview]]:
    """Pickle a map's function, which is pickled already, with the arguments of one task."""
    if not packed.buffers and all(map(_is_plain, chunk)):
        # Ranges and tuples as lists, which are pickled faster.
        lists = [[*sequence] for sequence in chunk]
        return pickle.dumps((packed[:3], lists), 5), []
    data, buffers, _ = dumps(chunk)
    items = (data, [pickle.PickleBuffer(buffer) for buffer in buffers])
    # All buffers stay outside, the function's before the others.
    return pickle.dumps((packed[:3], items), 5, buffer_callback=lambda buffer: False), buffers


def _is_plain(sequence: Any) -> bool:
    return type(sequence) in (list, tuple, range) and len(sequence) <= _FEW_ITEMS and are_plain(sequence)


def _with_common(
    packed: PackedFunction, data: bytes, blobs: list[Any], file: bulk.SharedFile | None
) -> Packed:
    """Put the function's buffers before those of one task."""
    if not blobs and not packed.blobs:
        return data, NO_BLOBS, None
    shared = None if file is None and packed.file is None else bulk.SharedFiles(file, packed.file)
    return data, [*packed.blobs, *blobs], shared


def _refusal(error: Exception, call: Call) -> pickle.PicklingError:
    from parallel_python.serialize.diagnosis import refuse

    function, args, kwargs = call
    if function is operations.push:
        # Its argument is of our making, the names in it are the user's.
        return refuse(error, args[0])
    if function in (operations.map_part, operations.map_each):
        function, args = args[0], args[1:]
    parts: dict[str, Any] = {f"the function `{name_of(function)}`": function}
    parts |= {f"argument {number}": value for number, value in enumerate(args, start=1)}
    parts |= {f"argument `{name}`": value for name, value in kwargs.items()}
    return refuse(error, parts)


def execute(task: Task, targets: list[int], code: str, *, silent: bool) -> Submission:
    """Return code as it is submitted."""
    task.code = code
    return task.name, task.label or "execute", list(targets), ("execute", code, not silent)


Call = tuple[Callable[..., Any], Sequence[Any], Mapping[str, Any]]
