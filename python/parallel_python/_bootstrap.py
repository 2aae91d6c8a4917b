"""The first Python that runs in a process of ours: serves the package, then calls the role.

``main`` is called once by ``_parallel_python.boot()``, with the role and its options in ``sys.argv[1:]``
as the executable's ``door.rs`` wrote them. Nothing here may import a part of the package before
the finder is installed, and nothing may depend on what the user has installed.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Any

import _parallel_python


class EmbeddedFinder:
    """Finds and loads the package's modules from the engine library.

    It goes in front of every other finder, so that a process of ours always runs the package it was built
    with. Tracebacks show source lines through `get_source`.
    """

    def __init__(self) -> None:
        self._cache = _code_cache()

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Return the spec of a module of ours, or None for anything else."""
        if name.partition(".")[0] != "parallel_python":
            return None
        found = _parallel_python.source(name)
        if found is None:
            return None
        file, is_package, _ = found
        return ModuleSpec(name, self, origin=f"<{file}>", is_package=is_package)

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave the making of the module object to the import system."""

    def exec_module(self, module: ModuleType) -> None:
        """Run a module's code in its namespace."""
        exec(self.get_code(module.__name__), module.__dict__)

    def get_code(self, name: str) -> CodeType:
        """Return a module's code: from the cache, or compiled."""
        code: CodeType | None = self._cache.load(name)
        if code is None:
            file, _, text = self._found(name)
            code = compile(text, file, "exec", dont_inherit=True)
            self._cache.save(name, code)
        return code

    def get_source(self, name: str) -> str:
        """Return a module's source, for `linecache` and `inspect`."""
        return self._found(name)[2]

    def is_package(self, name: str) -> bool:
        """Tell whether a module of ours is a package."""
        return self._found(name)[1]

    @staticmethod
    def _found(name: str) -> tuple[str, bool, str]:
        found = _parallel_python.source(name)
        if found is None:
            raise ImportError(f"the engine library holds no module `{name}`", name=name)
        return found


def _code_cache() -> Any:
    """Return the cache of byte code, which is needed before anything of the package can be imported."""
    module = ModuleType("parallel_python._codecache")
    file, _, text = _parallel_python.source(module.__name__)
    exec(compile(text, file, "exec", dont_inherit=True), module.__dict__)
    return module.CodeCache(_parallel_python.SOURCES)


def install() -> None:
    """Have the package be imported from the engine library."""
    if not any(isinstance(finder, EmbeddedFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, EmbeddedFinder())


def main() -> None:
    """Install the finder and run the role named in ``sys.argv[1]`` with its options as a dict."""
    role, *words = sys.argv[1:]
    sys.argv[:] = [""]
    install()
    import_module("parallel_python._aliases").install()
    options = {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}
    roles = {
        "local": "parallel_python.local",
        "worker": "parallel_python.engine",
        "zygote": "parallel_python.engine.zygote",
    }
    import_module(roles[role]).main(options)
