"""`AsyncResult` and its variants. Numbers are rows of the reference."""

from __future__ import annotations

import asyncio
import concurrent.futures
import copy
import io
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

import parallel_python as ipp
from parallel_python.client.client import Client
from twin import Twin

GATES: dict[str, threading.Event] = {}


def wait_at(name: str, value: Any = None) -> Any:
    assert GATES[name].wait(30)
    return value


def fail_on(engine: int) -> int:
    from parallel_python.engine import operations

    rank: int = operations.main_namespace()["mpi_rank"]
    if rank == engine:
        raise ValueError(f"engine {engine}")
    return rank


@pytest.fixture
def gate() -> Any:
    GATES["gate"] = threading.Event()
    yield GATES["gate"]
    GATES["gate"].set()


def test_4_01_get(rc: Client, gate: threading.Event) -> None:
    view = rc[:]
    pending = view.apply(wait_at, "gate", 3)
    with pytest.raises(TimeoutError, match=r"Result not ready\."):
        pending.get(timeout=0)
    assert repr(pending) == "<AsyncResult(wait_at): pending>"
    gate.set()
    assert pending.get() == [3] * 4 and repr(pending) == "<AsyncResult(wait_at): finished>"
    failed = view.apply(fail_on, 1)
    with pytest.raises(ipp.CompositeError, match=r"\[1:apply\]ValueError: engine 1"):
        failed.get()
    assert repr(failed) == "<AsyncResult(fail_on): failed>"
    values = failed.get(return_exceptions=True)
    assert values[0] == 0 and values[2:] == [2, 3] and isinstance(values[1], ipp.RemoteError)
    with pytest.raises(ipp.RemoteError) as caught:
        rc[1].apply_sync(fail_on, 1)
    assert not isinstance(caught.value, ipp.CompositeError) and caught.value.ename == "ValueError"


def test_4_01_the_first_failure_does_not_wait_for_the_rest(rc: Client, gate: threading.Event) -> None:
    parts = [rc[0].apply(wait_at, "gate"), rc[1].apply(fail_on, 1)]
    # The twin's engines take turns, so the one that fails is let through first.
    joined = ipp.AsyncResult.join(*parts)
    gate.set()
    with pytest.raises(ipp.CompositeError):
        joined.get(return_when=concurrent.futures.FIRST_EXCEPTION, timeout=30)


def test_4_01_first_completed_warns(rc: Client) -> None:
    with pytest.warns(UserWarning):
        assert rc[0].apply(int).get(return_when=concurrent.futures.FIRST_COMPLETED) == 0


def test_4_02_futures(rc: Client) -> None:
    result = rc[:].apply(int, 4)
    assert result.r == result.result(10) == [4] * 4
    assert isinstance(result, concurrent.futures.Future)
    done, _ = concurrent.futures.wait([rc[0].apply(int), rc[1].apply(int)], timeout=30)
    assert len(done) == 2
    assert [f.result() for f in concurrent.futures.as_completed([rc[0].apply(int)], 30)] == [0]


def test_4_03_by_engine(rc: Client) -> None:
    assert rc[1:3].apply(int, 4).get_dict() == {1: 4, 2: 4}
    assert rc[3].apply(int).result_dict == {3: 0}
    twice = ipp.AsyncResult.join(rc[0].apply(int), rc[0].apply(int))
    with pytest.raises(ValueError, match="Cannot build dict, 2 jobs ran on engine #0"):
        twice.get_dict()


def test_4_04_wait(rc: Client, gate: threading.Event) -> None:
    result = rc[:].apply(wait_at, "gate")
    assert result.wait(0) is False and not result.ready() and not result.done()
    done, pending = result.wait(0, return_when=concurrent.futures.FIRST_COMPLETED)
    assert not done and len(pending) == 4 and all(isinstance(one, ipp.AsyncResult) for one in pending)
    gate.set()
    assert result.wait() is True and result.ready() and result.done()
    with pytest.raises(ValueError, match="return_when"):
        result.wait(return_when="never")


def test_4_06_successful(rc: Client, gate: threading.Event) -> None:
    result = rc[:].apply(wait_at, "gate")
    with pytest.raises(RuntimeError, match=r"Cannot check successful\(\) if not done\."):
        result.successful()
    gate.set()
    result.wait()
    assert result.successful()
    failed = rc[:].apply(fail_on, 0)
    failed.wait()
    assert not failed.successful()


def test_4_06_exceptions_that_are_values_are_no_failure(rc: Client) -> None:
    result = rc[:].map_async(abs, ["no number"] * 4, return_exceptions=True)
    result.wait()
    assert result.successful() and result.exception() is None
    assert repr(result) == "<AsyncMapResult(abs): finished>"
    single = ipp.AsyncResult(rc, rc[0].apply(fail_on, 0)._parts[0], "f", return_exceptions=True)
    single.wait()
    assert not single.successful() and repr(single) == "<AsyncResult(f): failed>"


def test_a_result_cannot_be_copied(rc: Client) -> None:
    for result in (rc[0].apply(abs, 1), rc[:].map(abs, range(4))):
        for make in (copy.copy, copy.deepcopy):
            with pytest.raises(TypeError):
                make(result)


def test_4_07_progress_bar(rc: Client, capsys: pytest.CaptureFixture[str]) -> None:
    assert rc[:].apply(int).wait_interactive(widget=False) is None
    told = capsys.readouterr()
    assert "int" in told.out and "4/4" in told.out


class Limit(TimeoutError):
    """What a program's own limit raises."""


WAITS: dict[str, Callable[[Client, Any], Any]] = {
    "get": lambda rc, result: result.get(),
    "get in time": lambda rc, result: result.get(timeout=60),
    "get the first failure": lambda rc, result: result.get(return_when=concurrent.futures.FIRST_EXCEPTION),
    "get_dict": lambda rc, result: result.get_dict(),
    "r": lambda rc, result: result.r,
    "result": lambda rc, result: result.result(),
    "wait": lambda rc, result: result.wait(),
    "wait in time": lambda rc, result: result.wait(60),
    "wait_for_output": lambda rc, result: result.wait_for_output(),
    "wait_interactive": lambda rc, result: result.wait_interactive(),
    "display_outputs": lambda rc, result: result.display_outputs(),
    "iterate": lambda rc, result: list(result),
    "call": lambda rc, result: rc[:].apply_sync(wait_at, "gate"),
    "map": lambda rc, result: rc[:].map_sync(wait_at, ["gate"] * 4),
    "execute": lambda rc, result: rc[:].execute("1", block=True),
    "pull": lambda rc, result: rc[:]["mpi_rank"],
}


@pytest.mark.parametrize("how", WAITS)
def test_4_01_a_limit_of_the_programs_own_ends_the_wait(rc: Client, gate: threading.Event, how: str) -> None:
    """As with ``signal.alarm``, whose handler often raises a `TimeoutError`."""
    waiting = threading.main_thread().ident
    assert waiting is not None

    def over(signum: int, frame: object) -> None:
        if not raised.is_set():
            raised.set()
            raise Limit

    def give_signal() -> None:
        # Not before it waits: until then, the signal would come in the test's own lines.
        begun.wait()
        until = time.monotonic() + 30
        while not is_waiting() and time.monotonic() < until:
            time.sleep(0.01)
        # One that comes just before the wait is seen with the next one.
        while not raised.is_set():
            signal.pthread_kill(waiting, signal.SIGUSR1)
            raised.wait(0.5)

    def is_waiting() -> bool:
        frame = sys._current_frames()[waiting]
        return frame.f_code is threading.Condition.wait.__code__ and "gotit" in frame.f_locals

    begun, raised = threading.Event(), threading.Event()
    result = rc[:].apply(wait_at, "gate")
    before = signal.signal(signal.SIGUSR1, over)
    giver = threading.Thread(target=give_signal)
    giver.start()
    try:
        with pytest.raises(Limit):
            begun.set()
            WAITS[how](rc, result)
    finally:
        giver.join()
        signal.signal(signal.SIGUSR1, before)
    gate.set()
    assert result.get(timeout=30) == [None] * 4


def test_4_08_outputs_are_waited_for(rc: Client, capsys: pytest.CaptureFixture[str]) -> None:
    rc[:].execute("print('hi')").display_outputs()
    assert capsys.readouterr().out == "".join(f"[stdout:{n}] hi\n" for n in range(4))
    rc[:].execute("print('a'); print('b')").display_outputs("engine")
    assert capsys.readouterr().out == "".join(f"[stdout:{n}] \na\nb\n" for n in range(4))
    rc[2].execute("print('hi')").display_outputs()
    assert capsys.readouterr().out == "hi\n"
    with pytest.raises(ValueError, match="groupby must be one of"):
        rc[:].execute("").display_outputs("bogus")


def test_4_09_stream(rc: Client, capsys: pytest.CaptureFixture[str]) -> None:
    result = rc[:2].execute("print('hi')")
    with result.stream_output():
        result.get()
    assert sorted(capsys.readouterr().out.splitlines()) == ["[stdout:0] hi", "[stdout:1] hi"]


class Terminal(io.StringIO):
    """Notes what could be read each time that it was flushed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def flush(self) -> None:
        self.seen.append(self.getvalue())


def test_4_09_a_single_engines_bar_moves(rc: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    result = rc[0].apply(int)
    result.wait()
    part = result._parts[0]
    part.on_stream("stdout", "before")
    with result.stream_output():
        for text in ("\r 50%", "\r100%", "\nwhole\n", "", "half"):
            part.on_stream("stdout", text)
        bar = "before\r 50%\r100%"
        assert terminal.seen == [bar[:6], bar[:11], bar, f"{bar}\nwhole\nhalf"]
        part.on_result(1, b'{"data": {"text/plain": "5"}}')
        part.on_stream("stdout", "rest")
    lines = terminal.getvalue().splitlines()
    assert lines[-4:-2] == ["whole", "half"] and lines[-2].endswith("5") and lines[-1] == "rest"
    assert terminal.getvalue().endswith("rest\n")


def test_4_10_metadata_by_attribute(rc: Client) -> None:
    result = rc[:].execute("print('hi')")
    result.wait()
    assert result.stdout == ["hi\n"] * 4 and result["engine_id"] == [0, 1, 2, 3]
    assert result.engine_uuid == [f"here-{10_000 + n}" for n in range(4)]
    single = rc[2].execute("print('hi')")
    single.wait()
    assert single.stdout == "hi\n" and single.engine_id == 2 and single.status == "ok"
    with pytest.raises(AttributeError, match="'AsyncResult' object has no attribute 'nokey'"):
        single.nokey  # noqa: B018
    with pytest.raises(KeyError):
        single["nokey"]


def test_4_11_metadata(rc: Client) -> None:
    result = rc[:].apply(int)
    result.wait()
    for metadata in result.metadata:
        times = [metadata[key] for key in ("submitted", "started", "completed", "received")]
        assert all(isinstance(time, datetime) and time.tzinfo is not None for time in times)
        assert times[1] <= times[2] <= times[3]
        assert metadata.msg_id in result.msg_ids and metadata.is_broadcast is False
    with pytest.raises(KeyError):
        result.metadata[0]["nokey"] = 1


def test_4_12_to_14_as_a_sequence(rc: Client, gate: threading.Event) -> None:
    result = rc[:].apply(wait_at, "gate", 5)
    assert len(result) == 4
    with pytest.raises(TimeoutError):
        result[0]
    gate.set()
    assert list(result) == [5] * 4
    result.wait()
    assert result[0] == 5 and result[1:3] == [5, 5]
    with pytest.raises(TypeError, match="AsyncResults with a single result are not iterable"):
        iter(rc[0].apply(int))


def test_4_15_to_17_times(rc: Client, gate: threading.Event) -> None:
    result = rc[:].apply(wait_at, "gate")
    assert result.progress == 0 and result.elapsed > 0
    for name in ("serial_time", "wall_time"):
        with pytest.raises(TimeoutError, match="result not ready"):
            getattr(result, name)
    gate.set()
    result.wait()
    assert result.progress == 4 and result.serial_time > 0
    assert result.wall_time == result.elapsed
    assert abs(result.timedelta(result.submitted, result.received) - result.elapsed) < 1e-3


def test_4_18_abort(rc: Client, twin: Twin, gate: threading.Event) -> None:
    first = rc[0].apply(wait_at, "gate")
    second = rc[0].apply(int)
    second.abort()
    gate.set()
    with pytest.raises(ipp.TaskAborted):
        second.get()
    assert second.status == "aborted"
    first.wait()
    with pytest.raises(RuntimeError, match="Can't abort, I am already done!"):
        first.abort()


def test_4_18_several_that_were_aborted_are_an_error(rc: Client, gate: threading.Event) -> None:
    first = rc[:].apply(wait_at, "gate")
    second = rc[:].apply(int)
    rc.abort(second, block=True)
    gate.set()
    with pytest.raises(ipp.CompositeError, match="TaskAborted"):
        second.get()
    first.get()


def test_4_21_sent(rc: Client) -> None:
    result = rc[0].apply(int)
    assert result.sent and result.wait_for_send() and result.wait_for_output()


def test_4_22_split_and_join(rc: Client) -> None:
    result = rc[:].apply(int, 7)
    parts = result.split()
    assert [part.get() for part in parts] == [7] * 4
    assert ipp.AsyncResult.join(*parts).get() == [7] * 4
    with pytest.raises(ValueError):
        ipp.AsyncResult.join()


def test_4_23_callbacks_and_await(rc: Client) -> None:
    called = threading.Event()
    result = rc[:].apply(int, 1)
    result.add_done_callback(lambda done: called.set())
    assert called.wait(30) and result.exception() is None

    async def awaits() -> Any:
        return await rc[:].apply(int, 3)

    assert asyncio.run(awaits()) == [3] * 4
    assert isinstance(rc[:].apply(fail_on, 2).exception(), ipp.CompositeError)


def test_4_23_cancel(rc: Client, gate: threading.Event) -> None:
    result = rc[:].apply(wait_at, "gate")
    assert result.cancel() and result.cancelled()
    gate.set()


def test_4_25_dir(rc: Client) -> None:
    assert {"stdout", "get", "engine_id"} <= set(dir(rc[0].apply(int)))


def test_4_26_maps(rc: Client) -> None:
    result = rc[:].map(str, range(10))
    assert isinstance(result, ipp.AsyncMapResult) and len(result) == 10
    assert result.get() == list(result) == list(map(str, range(10))) and result.progress == 10
    assert len(result.split()) == 4 and result.split()[0].get() == [["0", "1", "2"]]
    failing = rc[:].map(lambda n: 1 // n, range(4), return_exceptions=True)
    values = failing.get()
    assert isinstance(values[0], ipp.RemoteError) and values[1:] == [1, 0, 0]


def test_4_28_replies(rc: Client) -> None:
    reply = rc[0].execute("print('hi')").get()
    assert (
        reply.stdout == "hi\n" and reply["engine_id"] == 0 and reply.data == {} and reply.execution_count == 1
    )


def test_4_28_a_reply_has_what_was_shown(rc: Client) -> None:
    reply = rc[0].execute("1").get()
    assert reply._repr_png_() is None and reply._repr_html_() is None
    kinds = {
        "html": "text/html", "markdown": "text/markdown", "latex": "text/latex", "json": "application/json",
        "javascript": "application/javascript", "png": "image/png", "jpeg": "image/jpeg",
        "svg": "image/svg+xml", "pdf": "application/pdf",
    }  # fmt: skip
    data = {mime: f"as {name}" for name, mime in kinds.items()}
    reply.metadata["execute_result"] = {"data": data, "metadata": {"image/png": {"width": 8}}}
    for name in kinds:
        expected = ("as png", {"width": 8}) if name == "png" else f"as {name}"
        assert getattr(reply, f"_repr_{name}_")() == expected
    reply.metadata["execute_result"] = {"data": {"text/plain": "1"}}
    assert reply._repr_png_() is None
    with pytest.raises(AttributeError):
        reply._repr_other_()


def test_results_that_are_shared_are_let_go(rc: Client, twin: Twin) -> None:
    numpy = pytest.importorskip("numpy")
    result = rc[0].apply_async(numpy.ones, 100_000)
    array = result.get()
    rc[0].apply_sync(int)  # what is behind it has been told, so it is over
    assert twin.forgotten == []
    name = result.msg_ids[0].partition("@")[0]
    del result
    assert twin.forgotten == [(name, "values")]
    array += 1
    assert array.sum() == 200_000
    unseen = rc[0].apply_async(numpy.ones, 100_000)
    name = unseen.msg_ids[0].partition("@")[0]
    unseen.wait()
    rc[0].apply_sync(int)
    del unseen
    assert twin.forgotten[1:] == [(name, "watch")], "it can be asked for by its id"


def test_the_end_of_the_link_is_an_error(rc: Client, twin: Twin, gate: threading.Event) -> None:
    result = rc[:].apply(wait_at, "gate")
    twin.end()
    with pytest.raises(ipp.CompositeError, match="EngineError"):
        result.get(30)
    with pytest.raises(ipp.EngineError, match="has ended"):
        rc._conversation.submit([])
