"""Parallel Python: a notebook's cells on MPI engines, and the client API of ipyparallel on the same engines.

In processes of this project ``import ipyparallel as ipp`` gives this package. The public names are imported when
they are first used, because engines start with this package and most of them use none.

The package is served from the engine library to the processes that this project starts; see
``_bootstrap``. It holds no state of its own.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "9.2.0"
version_info = (9, 2, 0)

#: Where each public name is.
_NAMES = {
    "AsyncHubResult": "client.mapresult",
    "AsyncMapResult": "client.mapresult",
    "AsyncResult": "client.asyncresult",
    "Client": "client.client",
    "ExecuteReply": "client.reply",
    "Metadata": "client.metadata",
    "AlreadyDisplayedError": "client.errors",
    "CompositeError": "client.errors",
    "DependencyTimeout": "client.errors",
    "EngineError": "client.errors",
    "IPythonError": "client.errors",
    "ImpossibleDependency": "client.errors",
    "InvalidDependency": "client.errors",
    "KernelError": "client.errors",
    "NoEnginesRegistered": "client.errors",
    "RemoteError": "client.errors",
    "TaskAborted": "client.errors",
    "TaskRejectError": "client.errors",
    "TaskTimeout": "client.errors",
    "TimeoutError": "client.errors",
    "UnmetDependency": "client.errors",
    "collect_exceptions": "client.errors",
    "unwrap_exception": "client.errors",
    "wrap_exception": "client.errors",
    "BroadcastView": "view.broadcast",
    "DirectView": "view.direct",
    "LoadBalancedView": "view.balanced",
    "View": "view.base",
    "ViewExecutor": "view.executor",
    "register_joblib_backend": "view.joblib",
    "Dependency": "remote.dependency",
    "depend": "remote.dependency",
    "dependent": "remote.dependency",
    "require": "remote.dependency",
    "ParallelFunction": "remote.functions",
    "RemoteFunction": "remote.functions",
    "parallel": "remote.functions",
    "remote": "remote.functions",
    "Reference": "remote.reference",
    "interactive": "serialize.functions",
    "use_cloudpickle": "serialize.choice",
    "use_dill": "serialize.choice",
    "use_pickle": "serialize.choice",
    "PrePickled": "serialize.canning",
    "can": "serialize.canning",
    "can_map": "serialize.canning",
    "deserialize_object": "serialize.canning",
    "pack_apply_message": "serialize.canning",
    "serialize_object": "serialize.canning",
    "uncan": "serialize.canning",
    "uncan_map": "serialize.canning",
    "unpack_apply_message": "serialize.canning",
    "Cluster": "cluster.cluster",
    "ClusterManager": "cluster.manager",
    "bind_kernel": "engine.binding",
}

#: Modules under the names that ipyparallel has for them.
_MODULES = {"error": "client.errors", "datapub": "engine.datapub", "joblib": "view.joblib"}

__all__ = [*_NAMES, "__version__", "version_info"]

if TYPE_CHECKING:
    from parallel_python.client.asyncresult import AsyncResult
    from parallel_python.client.client import Client
    from parallel_python.client.errors import CompositeError, RemoteError
    from parallel_python.cluster.cluster import Cluster
    from parallel_python.remote.reference import Reference


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{_MODULES[name]}")
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_NAMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES, *_MODULES})
