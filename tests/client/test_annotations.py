"""Annotations that are evaluated when they are asked for (Python 3.14), and name what is not there."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

from parallel_python.serialize import dumps, loads
from parallel_python.serialize.functions import annotations_of, interactive


class Lazy:
    """Behaves as a function of Python 3.14 whose annotations name what is not there."""

    @property
    def __annotations__(self) -> dict[str, Any]:  # type: ignore[override]
        raise NameError("name 'Missing' is not defined")


def test_they_are_sent_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.version_info < (3, 14):
        library = types.ModuleType("annotationlib")
        library.Format = types.SimpleNamespace(STRING=4)  # type: ignore[attr-defined]
        library.get_annotations = lambda one, format: {"x": "Missing"}  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "annotationlib", library)
        assert annotations_of(Lazy()) == {"x": "Missing"}
        return
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec("def f(x: Missing) -> int: return x\nclass C:\n    x: Missing = 3", namespace)
    for function in (namespace["f"], interactive(namespace["f"])):
        data, buffers, _ = dumps(function)
        again = loads(data, buffers)
        assert again(3) == 3 and again.__annotations__ == {"x": "Missing", "return": "int"}
    data, buffers, _ = dumps(namespace["C"])
    assert loads(data, buffers).x == 3


def test_others_are_sent_as_they_are() -> None:
    def f(x: int) -> str:
        return str(x)

    f.__annotations__ = {"x": int, "return": str}
    assert annotations_of(f) == interactive(f).__annotations__ == {"x": int, "return": str}
