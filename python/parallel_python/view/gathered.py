"""A gathered list, which is its own result.

In a view that blocks, ``gather`` returns the list itself; code written for one that does not calls ``get()``.
"""

from __future__ import annotations

from typing import Any


class GatheredList(list[Any]):
    """A list whose ``get()`` returns it."""

    def get(self, timeout: float | None = None) -> GatheredList:
        """Return the list: it is here already."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)


def gathered(value: Any) -> Any:
    """Return a list as one that has ``get()``, and anything else as it is."""
    return GatheredList(value) if type(value) is list else value
