"""Which pickler is used: ours, or dill's or cloudpickle's where the user asks for one."""

from __future__ import annotations

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

    _use(dill.Pickler, dill.dumps)


def use_cloudpickle() -> None:
    """Pickle by ``cloudpickle``.

    Raises
    ------
    ImportError
        When it is not installed.
    """
    import cloudpickle

    _use(cloudpickle.Pickler, cloudpickle.dumps)


def _use(make_pickler: Callable[..., Any], dumps_whole: Callable[..., bytes]) -> None:
    global other
    from parallel_python.serialize.pickling import THRESHOLD

    def dumps(value: Any) -> tuple[bytes, list[memoryview], bool]:
        buffers: list[memoryview] = []

        def take(buffer: pickle.PickleBuffer) -> bool:
            try:
                raw = buffer.raw()
            except BufferError:
                return True
            if raw.nbytes < THRESHOLD:
                return True
            buffers.append(raw)
            return False

        file = io.BytesIO()
        make_pickler(file, protocol=5, buffer_callback=take).dump(value)
        # What these picklers hold is theirs; a `Reference` may be in it.
        return file.getvalue(), buffers, True

    other = dumps


def use(name: str) -> None:
    """Choose by name: ``pickle``, ``dill`` or ``cloudpickle``."""
    {"pickle": use_pickle, "dill": use_dill, "cloudpickle": use_cloudpickle}[name]()
