"""Parallel Python in a plain Python process: the package, as the engine library beside this folder holds it.

``parallel-python install`` puts this file into the folder of each build. What is imported in its place is the
package of that same build, so that it and the engines understand each other.
"""

import sys
from importlib import import_module
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from pathlib import Path
from types import ModuleType


def _load() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036 (any Python may find this file)
        raise ImportError("Parallel Python needs Python 3.11 or newer")
    if "_parallel_python" not in sys.modules:
        library = str(Path(__file__).resolve().parents[2] / "libparallel_python_engine.so")
        loader = ExtensionFileLoader("_parallel_python", library)
        module = loader.create_module(ModuleSpec("_parallel_python", loader, origin=library))
        loader.exec_module(module)
        module.__file__ = library
        sys.modules["_parallel_python"] = module
    import _parallel_python

    bootstrap = ModuleType("parallel_python._bootstrap")
    file, _, text = _parallel_python.source(bootstrap.__name__)
    exec(compile(text, file, "exec"), bootstrap.__dict__)
    bootstrap.install()
    del sys.modules[__name__]
    import_module(__name__)


_load()
