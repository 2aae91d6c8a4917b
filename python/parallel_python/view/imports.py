"""Imports that take effect on engines too."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

from parallel_python.engine import operations

if TYPE_CHECKING:
    from parallel_python.view.direct import DirectView


@contextmanager
def sync_imports(view: DirectView, *, quiet: bool = False) -> Iterator[None]:
    """Run the imports that the body's own code makes on a view's engines, and wait for them at its end.

    Parameters
    ----------
    view : DirectView
        The engines.
    quiet : bool
        Whether not to say what is imported.
    """
    results: dict[tuple[str, tuple[str, ...]], Any] = {}
    here = builtins.__import__

    def import_on_both(
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        # What a module imports that is being imported is its own business.
        if (
            globals is not None
            and globals.get("__name__") == "__main__"
            and sys._getframe(1).f_globals is globals
        ):
            key = (name, tuple(fromlist or ()))
            if key not in results:
                if not quiet:
                    what = f"{', '.join(key[1])} from {name}" if key[1] else name
                    print(f"importing {what} on engine(s)")
                results[key] = view._call(operations.import_module, key, {}, False)
        return here(name, globals, locals, fromlist or (), level)

    builtins.__import__ = import_on_both
    try:
        yield
    finally:
        builtins.__import__ = here
    for result in results.values():
        result.get()
