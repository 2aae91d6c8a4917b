"""``bind_kernel``: what ipyparallel has for connecting a console to an engine."""

from __future__ import annotations

from typing import Any, NoReturn


def bind_kernel(**options: Any) -> NoReturn:
    """Refuse: an engine is no Jupyter kernel of its own, so no console can connect to it.

    Raises
    ------
    NotImplementedError
        Always.
    """
    raise NotImplementedError(
        "an engine is no Jupyter kernel, so no console can connect to it: `%%px --targets 2` runs cells on"
        " engine 2, and `%pxstack` shows what engines do"
    )
