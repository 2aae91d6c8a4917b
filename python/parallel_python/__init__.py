"""Parallel Python: a notebook's cells on MPI engines, and the client API of ipyparallel on the same engines.

In processes of this project ``import ipyparallel as ipp`` gives this package. The public names are imported
when they are first used, because engines start with this package and most of them use none.

The package is served from the engine library to the processes that this project starts; see
``_bootstrap``. It holds no state of its own.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "9.2.0"
version_info = (9, 2, 0)

#: How the names of the files begin that its code is from.
_FILES = "parallel_python/"

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
    "Dependency": "remoting.dependency",
    "depend": "remoting.dependency",
    "dependent": "remoting.dependency",
    "require": "remoting.dependency",
    "ParallelFunction": "remoting.functions",
    "RemoteFunction": "remoting.functions",
    "parallel": "remoting.functions",
    "remote": "remoting.functions",
    "Reference": "remoting.reference",
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
    "ALL_COMPLETED": "client.waitable",
    "FIRST_COMPLETED": "client.waitable",
    "FIRST_EXCEPTION": "client.waitable",
}

#: Modules under the names that ipyparallel has for them.
_MODULES = {
    "error": "client.errors",
    "datapub": "engine.datapub",
    "joblib": "view.joblib",
    "util": "client.util",
}

__all__ = [*_NAMES, "__version__", "version_info"]

if TYPE_CHECKING:
    from parallel_python.client.asyncresult import (
        AsyncResult as AsyncResult,
    )
    from parallel_python.client.client import (
        Client as Client,
    )
    from parallel_python.client.errors import (
        AlreadyDisplayedError as AlreadyDisplayedError,
    )
    from parallel_python.client.errors import (
        CompositeError as CompositeError,
    )
    from parallel_python.client.errors import (
        DependencyTimeout as DependencyTimeout,
    )
    from parallel_python.client.errors import (
        EngineError as EngineError,
    )
    from parallel_python.client.errors import (
        ImpossibleDependency as ImpossibleDependency,
    )
    from parallel_python.client.errors import (
        InvalidDependency as InvalidDependency,
    )
    from parallel_python.client.errors import (
        IPythonError as IPythonError,
    )
    from parallel_python.client.errors import (
        KernelError as KernelError,
    )
    from parallel_python.client.errors import (
        NoEnginesRegistered as NoEnginesRegistered,
    )
    from parallel_python.client.errors import (
        RemoteError as RemoteError,
    )
    from parallel_python.client.errors import (
        TaskAborted as TaskAborted,
    )
    from parallel_python.client.errors import (
        TaskRejectError as TaskRejectError,
    )
    from parallel_python.client.errors import (
        TaskTimeout as TaskTimeout,
    )
    from parallel_python.client.errors import (
        TimeoutError as TimeoutError,
    )
    from parallel_python.client.errors import (
        UnmetDependency as UnmetDependency,
    )
    from parallel_python.client.errors import (
        collect_exceptions as collect_exceptions,
    )
    from parallel_python.client.errors import (
        unwrap_exception as unwrap_exception,
    )
    from parallel_python.client.errors import (
        wrap_exception as wrap_exception,
    )
    from parallel_python.client.mapresult import (
        AsyncHubResult as AsyncHubResult,
    )
    from parallel_python.client.mapresult import (
        AsyncMapResult as AsyncMapResult,
    )
    from parallel_python.client.metadata import (
        Metadata as Metadata,
    )
    from parallel_python.client.reply import (
        ExecuteReply as ExecuteReply,
    )
    from parallel_python.cluster.cluster import (
        Cluster as Cluster,
    )
    from parallel_python.cluster.manager import (
        ClusterManager as ClusterManager,
    )
    from parallel_python.engine.binding import (
        bind_kernel as bind_kernel,
    )
    from parallel_python.remoting.dependency import (
        Dependency as Dependency,
    )
    from parallel_python.remoting.dependency import (
        depend as depend,
    )
    from parallel_python.remoting.dependency import (
        dependent as dependent,
    )
    from parallel_python.remoting.dependency import (
        require as require,
    )
    from parallel_python.remoting.functions import (
        ParallelFunction as ParallelFunction,
    )
    from parallel_python.remoting.functions import (
        RemoteFunction as RemoteFunction,
    )
    from parallel_python.remoting.functions import (
        parallel as parallel,
    )
    from parallel_python.remoting.functions import (
        remote as remote,
    )
    from parallel_python.remoting.reference import (
        Reference as Reference,
    )
    from parallel_python.serialize.canning import (
        PrePickled as PrePickled,
    )
    from parallel_python.serialize.canning import (
        can as can,
    )
    from parallel_python.serialize.canning import (
        can_map as can_map,
    )
    from parallel_python.serialize.canning import (
        deserialize_object as deserialize_object,
    )
    from parallel_python.serialize.canning import (
        pack_apply_message as pack_apply_message,
    )
    from parallel_python.serialize.canning import (
        serialize_object as serialize_object,
    )
    from parallel_python.serialize.canning import (
        uncan as uncan,
    )
    from parallel_python.serialize.canning import (
        uncan_map as uncan_map,
    )
    from parallel_python.serialize.canning import (
        unpack_apply_message as unpack_apply_message,
    )
    from parallel_python.serialize.choice import (
        use_cloudpickle as use_cloudpickle,
    )
    from parallel_python.serialize.choice import (
        use_dill as use_dill,
    )
    from parallel_python.serialize.choice import (
        use_pickle as use_pickle,
    )
    from parallel_python.serialize.functions import (
        interactive as interactive,
    )
    from parallel_python.view.balanced import (
        LoadBalancedView as LoadBalancedView,
    )
    from parallel_python.view.base import (
        View as View,
    )
    from parallel_python.view.broadcast import (
        BroadcastView as BroadcastView,
    )
    from parallel_python.view.direct import (
        DirectView as DirectView,
    )
    from parallel_python.view.executor import (
        ViewExecutor as ViewExecutor,
    )
    from parallel_python.view.joblib import (
        register_joblib_backend as register_joblib_backend,
    )


def _file() -> str:
    """Return where this package is: inside the engine library, as modules inside an archive have it."""
    import os

    import _parallel_python

    # In a notebook's own process the library is part of the executable.
    library = getattr(_parallel_python, "__file__", None) or os.readlink("/proc/self/exe")
    return f"{library}/{_FILES}__init__.py"


def __getattr__(name: str) -> Any:
    if name == "__file__":
        return _file()
    if name in _MODULES:
        return import_module(f"{__name__}.{_MODULES[name]}")
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_NAMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES, *_MODULES})
