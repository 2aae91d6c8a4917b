"""Who waits is woken by the thread that completes results, when that has let go of the GIL."""

from __future__ import annotations

import queue
import threading

import pytest

from parallel_python.client.client import Client
from twin import Twin


@pytest.mark.parametrize("whose", ["callback", "listener"])
def test_who_waits_is_woken_before_somebodys_code_that_waits_for_it(
    rc: Client, twin: Twin, whose: str
) -> None:
    twin.hold(0, 1)
    awaited, other = rc[0].apply_async(abs, 1), rc[1].apply_async(abs, 1)
    got, found = threading.Event(), queue.SimpleQueue[bool]()
    printed = [("stream", other._parts[0].task.name, 1, "stdout", "text")]
    if whose == "callback":
        printed.clear()
        other.add_done_callback(lambda _: found.put(got.wait(10)))
    else:
        other._parts[0].listen(lambda *_: found.put(got.wait(10)))
    waiting = threading.Thread(target=lambda: (awaited.get(), got.set()))
    waiting.start()
    twin.bells.get(timeout=30)
    first, second = awaited._parts[0].task.name, other._parts[0].task.name
    twin.tell_at_once(
        ("done", first, 0, "ok", 1, 0.0, 0.0),
        ("over", first),
        *printed,
        ("done", second, 1, "ok", 1, 0.0, 0.0),
        ("over", second),
    )
    waiting.join(30)
    assert found.get(timeout=30) and other.wait(30)


def test_several_threads_wait_for_one_result_and_some_give_up(rc: Client, twin: Twin) -> None:
    twin.hold(0)
    result = rc[0].apply_async(abs, -1)
    assert [result.wait(timeout) for timeout in (0, 0.001, 0.001)] == [False] * 3
    assert result._bells == (), "who has given up leaves nothing behind"
    got: list[int] = []
    threads = [threading.Thread(target=lambda: got.append(result.get(30))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(2 + len(threads)):
        twin.bells.get(timeout=30)
    twin.release()
    for thread in threads:
        thread.join(30)
    assert got == [1] * 4 and result._bells == ()


def test_what_was_cancelled_is_waited_for_no_longer(rc: Client, twin: Twin) -> None:
    twin.hold(0)
    result = rc[0].apply_async(abs, -1)
    ended: list[bool] = []
    waiting = threading.Thread(target=lambda: ended.append(result.wait(30)))
    waiting.start()
    twin.bells.get(timeout=30)
    assert result.cancel()
    waiting.join(30)
    assert ended == [True]
