"""What things are called, and whether another process can find them by that name.

**Invariant**: what was typed in is of ``__main__``, whatever that module is called where it was typed in.
"""

from __future__ import annotations

import sys
from typing import Any

#: What the module of typed-in code is called: the latter in a process that `multiprocessing` has spawned.
MAIN = frozenset({"__main__", "__mp_main__"})


def main_namespace() -> dict[str, Any]:
    """Return the globals of what was typed in: the user's namespace."""
    return sys.modules["__main__"].__dict__


def find(module: str | None, qualname: str) -> Any:
    """Return what has this name in a module that is loaded, or None."""
    found: Any = sys.modules.get(module or "")
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


def module_of(named: Any) -> str | None:
    """Return the module that a function or class is of: ``__main__`` for all that was typed in."""
    module: str | None = getattr(named, "__module__", None)
    return "__main__" if module in MAIN else module


def goes_by_value(named: Any) -> bool:
    """Tell whether a function or class cannot be imported on an engine by its name."""
    module = module_of(named)
    return module == "__main__" or find(module, getattr(named, "__qualname__", "")) is not named
