"""`Reference`: an argument that an engine looks up in its own namespace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from parallel_python.serialize.pickling import register_reference


class Reference:
    """An expression that is evaluated on the engine, in place of an argument or of the function itself.

    Parameters
    ----------
    name : str
        The expression, most often a name.
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"illegal name: {name!r}")
        self.name = name

    def __repr__(self) -> str:
        return f"<Reference: {self.name!r}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and other.name == self.name

    def __hash__(self) -> int:
        return hash((Reference, self.name))


register_reference(Reference)


def resolve(value: Any, namespace: Mapping[str, Any]) -> Any:
    """Return a value in which every reference, also in lists, tuples, sets and dicts, is what it refers
    to.
    """
    kind = type(value)
    if kind is Reference:
        return eval(value.name, namespace)  # type: ignore[arg-type]  # globals are a dict
    if kind is dict:
        return {resolve(key, namespace): resolve(item, namespace) for key, item in value.items()}
    if kind in (list, tuple, set, frozenset):
        return kind(resolve(item, namespace) for item in value)
    return value
