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

    def note(submissions: list[Any], yields: bool = False) -> None:
        submit(submissions, yields)
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


@pytest.mark.parametrize("name", ["block", "track"])
def test_3_08_what_is_no_bool_is_refused(rc: Client, name: str) -> None:
    view = rc[:]
    with pytest.raises(TypeError, match=f"{name} must be True or False, not 'x'"):
        view.set_flags(**{name: "x"})
    with pytest.raises(TypeError, match=f"{name} must be True or False, not 1"):
        setattr(view, name, 1)
    assert getattr(view, name) is False
    for value in (True, None, False):
        view.set_flags(**{name: value})


@pytest.mark.parametrize(("value", "error"), [(-1, ValueError), (None, TypeError), ("x", TypeError)])
def test_3_37_retries_are_a_number(rc: Client, value: Any, error: type[Exception]) -> None:
    view = rc.load_balanced_view()
    with pytest.raises(error, match="retries must be"):
        view.retries = value
    with pytest.raises(error, match="retries must be"):
        rc.load_balanced_view(retries=value)
    assert view.retries == 0
    view.retries = 3


def test_3_32_a_view_of_no_engines_says_so(rc: Client) -> None:
    view = rc.load_balanced_view()
    view.targets = []
    for ask in (view.apply, view.map):
        with pytest.raises(ValueError, match="this view has no engine: its `targets` are empty"):
            ask(abs, [1])


def test_3_17_names_that_no_code_could_read(rc: Client) -> None:
    view = rc[:]
    asks = [view.push, lambda names: view.scatter(next(iter(names)), [1, 2]), view.update]
    for ask in asks:
        with pytest.raises(TypeError, match="names must be strs, not 1"):
            ask({1: 2})
        with pytest.raises(ValueError, match="`class` is a keyword of Python's"):
            ask({"class": 1})
    with pytest.raises(ValueError, match="`None` is a keyword"):
        view["None"] = 1
    view.push({"match": 1, "a_list": [0]}, block=True)
    view.push({"a_list[0]": 5}, block=True)
    assert rc[0]["a_list"] == [5]
