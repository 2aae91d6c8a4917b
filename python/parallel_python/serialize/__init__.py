"""Values on their way between processes: what can be pickled, how, and what to say when something cannot."""

from __future__ import annotations

from parallel_python.serialize.choice import use_cloudpickle, use_dill, use_pickle
from parallel_python.serialize.functions import interactive
from parallel_python.serialize.pickling import dumps, loads

__all__ = ["dumps", "interactive", "loads", "use_cloudpickle", "use_dill", "use_pickle"]
