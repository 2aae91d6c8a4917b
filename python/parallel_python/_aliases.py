"""``import ipyparallel``: the same modules under the names that ipyparallel has for them.

With ``PARALLEL_PYTHON_IPYPARALLEL=installed`` in the environment, ``ipyparallel`` is what the user has
installed.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

#: Modules of ipyparallel whose names here are others.
MODULES = {
    "ipyparallel": "parallel_python",
    "ipyparallel.error": "parallel_python.client.errors",
    "ipyparallel.datapub": "parallel_python.engine.datapub",
    "ipyparallel.joblib": "parallel_python.view.joblib",
    "ipyparallel.util": "parallel_python.client.util",
    "ipyparallel.apps": "parallel_python.cluster",
    "ipyparallel.client.view": "parallel_python.view",
    "ipyparallel.client.map": "parallel_python.view.partition",
    "ipyparallel.client.remotefunction": "parallel_python.remoting.functions",
    "ipyparallel.client.joblib": "parallel_python.view.joblib",
    "ipyparallel.client.lazy": "parallel_python.view.lazymap",
    "ipyparallel.controller": "parallel_python.remoting",
    "ipyparallel.controller.dependency": "parallel_python.remoting.dependency",
    "ipyparallel.engine.datapub": "parallel_python.engine.datapub",
    "ipyparallel.serialize.canning": "parallel_python.serialize.canning",
    "ipyparallel.serialize.serialize": "parallel_python.serialize.canning",
}


class AliasFinder:
    """Finds ``ipyparallel`` and its modules, which are loaded once under their own names."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Return the spec of a module of ipyparallel, or None for anything else."""
        package, _, rest = name.partition(".")
        if package != "ipyparallel":
            return None
        own = MODULES.get(name, f"parallel_python.{rest}" if rest else "parallel_python")
        try:
            module = import_module(own)
        except ModuleNotFoundError as error:
            if error.name is not None and own.startswith(error.name):
                return None
            raise
        return ModuleSpec(name, _Alias(module), is_package=hasattr(module, "__path__"))  # type: ignore[arg-type]


class _Alias:
    """Gives a module that is loaded already to the import system."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module."""
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing but put back what the import system has changed: the module is what it is."""
        module.__spec__ = self.spec


def install() -> None:
    """Have ``ipyparallel`` be this package, unless the user wants the installed one."""
    if os.environ.get("PARALLEL_PYTHON_IPYPARALLEL") != "installed":
        sys.meta_path.insert(0, AliasFinder())
