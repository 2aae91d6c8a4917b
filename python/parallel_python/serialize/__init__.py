"""Values on their way between processes: what can be pickled, how, and what to say when something cannot."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from parallel_python.serialize.choice import use_cloudpickle, use_dill, use_pickle
from parallel_python.serialize.functions import interactive
from parallel_python.serialize.pickling import dumps, loads

__all__ = ["dumps", "interactive", "loads", "use_cloudpickle", "use_dill", "use_pickle"]

#: What ipyparallel has here as well; engines start without it.
_CANNING = frozenset({
    "PrePickled", "can", "can_map", "deserialize_object", "pack_apply_message", "serialize_object", "uncan",
    "uncan_map", "unpack_apply_message",
})  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _CANNING:
        return getattr(import_module(f"{__name__}.canning"), name)
    if name == "Reference":
        return import_module("parallel_python.remoting.reference").Reference
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
