"""Top-level ``await``: a cell's coroutine on the engine's own event loop."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from parallel_python.engine.shell import EngineShell

T = TypeVar("T")


class LoopRunner:
    """Runs a cell's coroutine to its end.

    An interrupt cancels it and waits until it has cleaned up; it does not go on with the next cell that
    awaits. Tasks that it has created stay, and go on whenever a cell awaits.
    """

    def __init__(self, shell: EngineShell) -> None:
        self.shell = shell

    def __call__(self, coroutine: Coroutine[object, object, T]) -> T:
        """Return the coroutine's value or raise what it raised."""
        import asyncio

        from IPython.core.async_helpers import get_asyncio_loop

        loop = get_asyncio_loop()
        task = loop.create_task(coroutine)
        try:
            return loop.run_until_complete(task)
        except KeyboardInterrupt:
            if not task.done():
                task.cancel()
                try:
                    loop.run_until_complete(task)
                except asyncio.CancelledError:
                    pass
                # The cell ends by the interrupt; that it was cancelled is how.
                self.shell.raised = None
            raise

    def __str__(self) -> str:
        return "asyncio"
