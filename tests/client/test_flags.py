"""Flags of views, and who may change them. Numbers are rows of the reference."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import parallel_python as ipp
from parallel_python.client.client import Client
from twin import Twin


def double(values: list[int]) -> list[int]:
    return [2 * value for value in values]


@pytest.mark.parametrize("kind", ["remote", "parallel", "map", "balanced"])
def test_3_43_a_function_that_waits_leaves_the_views_flags_alone(rc: Client, twin: Twin, kind: str) -> None:
    view: Any = rc.load_balanced_view() if kind == "balanced" else rc[:]
    function = {
        "remote": lambda: view.remote(block=True, label="mine")(abs),
        "parallel": lambda: view.parallel(block=True, label="mine")(double),
        "map": lambda: view.parallel(block=True, label="mine")(abs).map,
        "balanced": lambda: view.parallel(block=True, label="mine", retries=2)(double),
    }[kind]()
    argument = 1 if kind == "remote" else [1, 2, 3, 4]
    twin.hold(0, 1, 2, 3)
    submit, submitted = twin.submit, threading.Event()

    def note(submissions: list[Any]) -> None:
        submit(submissions)
        submitted.set()

    twin.submit = note  # type: ignore[method-assign]
    got: list[Any] = []
    thread = threading.Thread(target=lambda: got.append(function(argument)))
    thread.start()
    assert submitted.wait(30)
    assert view.block is False and view.label is None and getattr(view, "retries", 0) == 0
    assert isinstance(view.apply(abs, 1), ipp.AsyncResult)
    view.block = None
    twin.release()
    thread.join(30)
    assert view.block is None, "what was set meanwhile stays"
    assert got == {"remote": [[1] * 4], "map": [[1, 2, 3, 4]]}.get(kind, [[2, 4, 6, 8]])
    tasks = len(view.history)
    assert tasks == {"remote": 8, "parallel": 8, "map": 8, "balanced": 5}[kind]
