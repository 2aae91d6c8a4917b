"""Errors: their texts are read by people and parsed by programs. Numbers are rows of the reference."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

import parallel_python as ipp
from parallel_python.client import errors

ZERO = ("ZeroDivisionError", "division by zero", "Traceback\nline")


def remote(engine: int | None = 0) -> errors.RemoteError:
    return errors.RemoteError(*ZERO, {"engine_id": engine, "engine_uuid": "u", "method": "apply"})


def composite(n: int) -> errors.CompositeError:
    return errors.combine([remote(engine) for engine in range(n)], "one or more exceptions raised in: f")


def test_6_01_a_remote_error(capsys: pytest.CaptureFixture[str]) -> None:
    error = remote()
    assert (error.ename, error.evalue, error.traceback) == ZERO
    assert error.args == ZERO[:2] and error.engine_info == {
        "engine_id": 0,
        "engine_uuid": "u",
        "method": "apply",
    }
    assert str(error) == "[0:apply] ZeroDivisionError: division by zero"
    assert repr(error) == "<RemoteError[0]:ZeroDivisionError(division by zero)>"
    assert error.render_traceback() == error._render_traceback_() == ["[0:apply]", "Traceback", "line"]
    error.print_traceback()
    assert capsys.readouterr().out == "[0:apply]\nTraceback\nline\n"
    assert str(remote(None)) == "[Engine Exception] ZeroDivisionError: division by zero"


def test_6_02_a_composite_error() -> None:
    error = composite(6)
    assert error.msg == "one or more exceptions raised in: f" and len(error.elist) == 6
    assert error.args == ("ZeroDivisionError",) * 6 and errors.CompositeError.tb_limit == 4
    assert (error.ename, error.evalue, error.traceback, error.engine_info) == (None,) * 4
    assert str(error).splitlines()[0] == error.msg
    assert str(error).splitlines()[1] == "[0:apply]ZeroDivisionError: division by zero"
    assert str(error).splitlines()[-1] == ".... 2 more exceptions ..."
    assert repr(error) == "CompositeError(6)"
    assert isinstance(error, errors.RemoteError)


def test_6_03_one_of_several() -> None:
    error = composite(6)
    lines = error.render_traceback()
    assert lines[:4] == ["[0:apply]:", "Traceback", "line", ""] and lines[-1] == "... 2 more exceptions ..."
    assert error.render_traceback(5) == ["[5:apply]:", "Traceback", "line"]
    with pytest.raises(errors.RemoteError, match=r"\[3:apply\]"):
        error.raise_exception(3)
    with pytest.raises(IndexError, match="an exception with index 9 does not exist"):
        error.raise_exception(9)


def test_6_05_already_displayed(capsys: pytest.CaptureFixture[str]) -> None:
    error = errors.AlreadyDisplayedError(composite(4))
    assert error.n == 4 and error.ename is None and repr(error) == "<AlreadyDisplayedError(4 errors)>"
    assert error._render_traceback_() == ["4 errors"]
    error.print_traceback()
    assert capsys.readouterr().out.startswith("[0:apply]:\nTraceback")


def test_6_06_what_users_catch() -> None:
    assert ipp.TimeoutError is TimeoutError is errors.TimeoutError
    assert issubclass(ipp.CompositeError, ipp.RemoteError) and issubclass(ipp.RemoteError, ipp.KernelError)
    assert issubclass(ipp.ImpossibleDependency, ipp.UnmetDependency)
    assert issubclass(ipp.InvalidDependency, ipp.ImpossibleDependency)
    assert "wait_for_engines" in str(ipp.NoEnginesRegistered())


def test_6_08_helpers() -> None:
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError:
        content = errors.wrap_exception({"engine_id": 3})
    error = errors.unwrap_exception(content)
    assert error.ename == "ZeroDivisionError" and "[3:apply]" in str(error)
    assert errors.collect_exceptions([1, 2]) == [1, 2]
    with pytest.raises(errors.CompositeError, match="raised in: f"):
        errors.collect_exceptions([1, error], "f")


def test_6_08_what_counts_as_an_engines_exception() -> None:
    for same in ({0: 1}, [1, 2], (1,), [ValueError("a value")], {}):
        assert errors.collect_exceptions(same) is same
    with pytest.raises(errors.CompositeError, match="raised in: f") as caught:
        errors.collect_exceptions({0: remote(), 1: composite(2), 2: 5}, "f")
    assert len(caught.value.elist) == 3


@pytest.mark.parametrize("number", ["a", None, 7])
def test_6_03_there_is_none_of_that_number(number: Any) -> None:
    with pytest.raises(IndexError, match=f"an exception with index {number} does not exist"):
        composite(2).raise_exception(number)


@pytest.mark.parametrize("error", [remote(), composite(3), errors.AlreadyDisplayedError(remote())])
def test_errors_can_be_pickled(error: errors.RemoteError) -> None:
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
