"""ipykernel's debugger, loaded when somebody debugs.

debugpy costs a fifth of a start, and most notebooks never debug. So until the first debug request a
`DeferredDebugger` stands where ipykernel expects its own, and a module of the same name says only what
ipykernel asks at the start: whether there is a debugger.

**Invariant**: the debugger is made in the control thread, with the first request that needs it.
"""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

MODULE = "ipykernel.debugger"


class _Module(ModuleType):
    """Says whether there is a debugger; whoever asks for more gets the module itself."""

    def __init__(self) -> None:
        super().__init__(MODULE)
        self.__spec__ = find_spec(MODULE)
        self._is_debugpy_available = find_spec("debugpy") is not None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(load(), name)


def defer() -> None:
    """Have ipykernel find the module without its contents, unless somebody has loaded it."""
    sys.modules.setdefault(MODULE, _Module())


def load() -> ModuleType:
    """Return the module itself."""
    if isinstance(sys.modules.get(MODULE), _Module):
        del sys.modules[MODULE]
    return import_module(MODULE)


class DeferredDebugger:
    """Makes ipykernel's `Debugger` when it is first needed.

    Parameters
    ----------
    *arguments : Any
        As `Debugger` takes them; the sixth is the list of files whose frames are not the user's.
    """

    def __init__(self, *arguments: Any) -> None:
        self._arguments = arguments
        self._debugger: Any = None
        self._made = asyncio.Event()

    async def wait_until_made(self) -> None:
        """Wait for the first debug request."""
        await self._made.wait()

    def __getattr__(self, name: str) -> Any:
        if self._debugger is None:
            before = set(sys.modules)
            made = load().Debugger(*self._arguments)
            files = (getattr(sys.modules[new], "__file__", None) for new in set(sys.modules) - before)
            self._arguments[5].extend(file for file in files if file)
            self._debugger = made
            self._made.set()
        return getattr(self._debugger, name)
