"""Which pickler is used: ours, or dill's or cloudpickle's where the user asks for one."""

from __future__ import annotations

import functools
import io
import pickle
from collections.abc import Callable
from typing import Any

Dumps = Callable[[Any], "tuple[bytes, list[memoryview], bool]"]

#: What pickles in place of ours.
other: Dumps | None = None


def use_pickle() -> None:
    """Pickle as this package does by itself."""
    global other
    other = None


def use_dill() -> None:
    """Pickle by ``dill``.

    Raises
    ------
    ImportError
        When it is not installed.
    """
    import dill

    _use(dill.Pickler, load_dill)


def use_cloudpickle() -> None:
    """Pickle by ``cloudpickle``.

    Raises
    ------
    ImportError
        When it is not installed.
    """
    import cloudpickle

    _use(cloudpickle.Pickler, load_plain)


def load_dill(data: bytes, buffers: list[Any]) -> Any:
    """Read what dill has pickled: only its own unpickler can."""
    import dill

    return dill.Unpickler(io.BytesIO(data), buffers=buffers).load()


def load_plain(data: bytes, buffers: list[Any]) -> Any:
    """Read what any other has pickled."""
    return pickle.loads(data, buffers=buffers)


class _Foreign:
    """What another pickler has made, with how to read it: nobody has to be told which one it was."""

    def __init__(self, load: Callable[..., Any], data: bytes, buffers: list[memoryview]) -> None:
        self.load, self.data, self.buffers = load, data, buffers

    def __reduce__(self) -> tuple[Any, ...]:
        return self.load, (self.data, [pickle.PickleBuffer(buffer) for buffer in self.buffers])


def _use(make_pickler: Callable[..., Any], load: Callable[..., Any]) -> None:
    global other
    from parallel_python.serialize.pickling import take_large

    def dumps(value: Any) -> tuple[bytes, list[memoryview], bool]:
        buffers: list[memoryview] = []

        file = io.BytesIO()
        make_pickler(file, protocol=5, buffer_callback=functools.partial(take_large, buffers)).dump(value)
        foreign = _Foreign(load, file.getvalue(), buffers)
        # Whether there is a `Reference` in it is not known: a pickle that holds one names its module.
        return pickle.dumps(foreign, 5, buffer_callback=lambda buffer: False), buffers, True

    other = dumps


def use(name: str) -> None:
    """Choose by name: ``pickle``, ``dill`` or ``cloudpickle``."""
    {"pickle": use_pickle, "dill": use_dill, "cloudpickle": use_cloudpickle}[name]()
