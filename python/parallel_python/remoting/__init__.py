"""Functions that run on engines: decorators, references, and what a function needs there.

================  ====================================================
file              what it is
================  ====================================================
``functions``     ``@remote`` and ``@parallel``
``reference``     arguments that are looked up on the engine
``dependency``    ``@require``, ``@depend``, `Dependency`
================  ====================================================
"""

from __future__ import annotations

from parallel_python.remoting.dependency import Dependency, depend, dependent, require
from parallel_python.remoting.functions import ParallelFunction, RemoteFunction, parallel, remote
from parallel_python.remoting.reference import Reference

__all__ = [
    "Dependency",
    "ParallelFunction",
    "Reference",
    "RemoteFunction",
    "depend",
    "dependent",
    "parallel",
    "remote",
    "require",
]
