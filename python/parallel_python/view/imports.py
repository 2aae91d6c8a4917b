"""Imports that take effect on engines too."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Mapping, Sequence
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any

from parallel_python.engine import operations

if TYPE_CHECKING:
    from parallel_python.view.direct import DirectView


class SyncImports:
    """Runs the imports of a ``with`` statement's body on a view's engines, and waits for them at its end.

    **Invariant**: what counts is the body's own code. What a module imports that is being imported is its own
    business, and so is what other threads import meanwhile.

    Parameters
    ----------
    view : DirectView
        The engines.
    quiet : bool
        Whether not to say what is imported.
    """

    def __init__(self, view: DirectView, *, quiet: bool = False) -> None:
        self._view = view
        self._quiet = quiet
        self._results: dict[tuple[str, tuple[str, ...]], Any] = {}
        self._body: FrameType | None = None
        self._import = builtins.__import__

    def __enter__(self) -> None:
        self._body = sys._getframe(1)
        self._results = {}
        self._import = builtins.__import__
        builtins.__import__ = self._import_on_both

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        builtins.__import__ = self._import
        self._body = None
        if kind is None:
            for result in self._results.values():
                result.get()

    def _import_on_both(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        # A relative import means another module to every importer.
        if sys._getframe(1) is self._body and level == 0:
            self._import_there(name, tuple(fromlist or ()))
        return self._import(name, globals, locals, fromlist or (), level)

    def _import_there(self, name: str, names: tuple[str, ...]) -> None:
        key = (name, names)
        if key in self._results:
            return
        # The call makes imports of its own.
        body, self._body = self._body, None
        if not self._quiet:
            what = f"{', '.join(names)} from {name}" if names else name
            print(f"importing {what} on engine(s)")
        self._results[key] = self._view._call(operations.import_module, key, {}, False)
        self._body = body
