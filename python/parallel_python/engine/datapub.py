"""``publish_data``: values that code on an engine gives to the client while it runs."""

from __future__ import annotations

from typing import Any


def publish_data(data: dict[str, Any]) -> None:
    """Give values to whoever called: they are in ``ar.data`` from then on.

    Parameters
    ----------
    data : dict
        The values, by name.

    Raises
    ------
    RuntimeError
        Where this is no engine.
    """
    from IPython import get_ipython

    from parallel_python.engine.operations import pack

    if not isinstance(data, dict):
        raise TypeError(f"publish_data takes a dict, not {type(data)!r}")
    engine = getattr(get_ipython(), "engine", None)
    if engine is None:
        raise RuntimeError("publish_data works in code that runs on an engine")
    engine.data(*pack(data, "the data"))
