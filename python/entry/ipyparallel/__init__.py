"""`import ipyparallel` in a plain Python process that has no ipyparallel of its own: Parallel Python's.

This folder comes last in ``sys.path``, so an ipyparallel that is installed goes first.
"""

import os
import sys
from importlib import import_module

if os.environ.get("PARALLEL_PYTHON_IPYPARALLEL") == "installed":
    raise ModuleNotFoundError(
        "no ipyparallel is installed but Parallel Python's, and PARALLEL_PYTHON_IPYPARALLEL=installed asks"
        " for another one",
        name="ipyparallel",
    )
import_module("parallel_python")
del sys.modules["ipyparallel"]
import_module("parallel_python._aliases").install()
import_module("ipyparallel")
