"""`BroadcastView`: a name for what every view of several engines does here."""

from __future__ import annotations

from typing import Any

from parallel_python.view.direct import DirectView


class BroadcastView(DirectView):
    """Engines that get one message together.

    Every `DirectView` sends one message for all its engines, so this differs in nothing but its name; results
    keep the engines' order and errors are raised, also with `is_coalescing`.
    """

    is_coalescing = False

    def _result(self, parts: list[Any], fname: str, targets: Any) -> Any:
        for part in parts:
            part.task.broadcast, part.task.coalescing = True, self.is_coalescing
        return super()._result(parts, fname, targets)
