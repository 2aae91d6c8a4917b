"""Bars that are drawn while somebody waits: what they count. Numbers are rows of the reference."""

from __future__ import annotations

import concurrent.futures
import sys
from typing import Any, ClassVar

import pytest

import parallel_python as ipp
from parallel_python.client import bars
from parallel_python.client.client import Client
from twin import Twin


class Bar:
    """A bar that remembers what it has shown."""

    made: ClassVar[list[Bar]] = []

    def __init__(self, total: int, desc: str, unit: str, widget: bool | None = None) -> None:
        self.total, self.n, self.text = total, 0, f"{desc} {unit}"
        self.shown: list[int] = []
        Bar.made.append(self)

    def update(self, n: int = 1) -> None:
        self.n += n
        self.shown.append(self.n)

    def refresh(self) -> None:
        pass

    close = refresh


@pytest.fixture(autouse=True)
def made(monkeypatch: pytest.MonkeyPatch) -> list[Bar]:
    Bar.made = []
    monkeypatch.setattr(bars, "make_bar", Bar)
    return Bar.made


def test_4_07_items_of_a_map_are_counted(rc: Client, twin: Twin) -> None:
    twin.hold(3)
    result = rc[:].map(str, range(10))
    result.wait_interactive(interval=0, return_when=concurrent.futures.FIRST_COMPLETED)
    first = Bar.made[0]
    assert first.total == 10 and first.text == "str tasks" and 0 < first.n < 10
    twin.release()
    result.wait_interactive(interval=0)
    assert Bar.made[1].total == Bar.made[1].n == 10
    done = rc[:].map(str, range(10))
    done.wait()
    done.wait_interactive()
    assert Bar.made[2].n == 10


def test_4_07_a_timeout_ends_the_wait(rc: Client, twin: Twin) -> None:
    twin.hold(0, 1)
    result = rc[:].apply(int)
    concurrent.futures.wait(result.split()[2:])
    result.wait_interactive(timeout=0.05)
    assert (Bar.made[0].n, Bar.made[0].total) == (2, 4) and not result.done()
    twin.release()


def test_4_07_the_first_failure_ends_the_wait(rc: Client, twin: Twin) -> None:
    twin.hold(0, 1)
    result = ipp.AsyncResult.join(rc[0].apply(int), rc[2].apply(lambda: 1 / 0))
    result.wait_interactive(return_when=concurrent.futures.FIRST_EXCEPTION)
    assert not result.done() and Bar.made[0].n == 1
    twin.release()


def test_2_12_items_of_all_jobs_are_counted(rc: Client, twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: list[Any] = [rc[:].map(str, range(10)), rc[:].apply(int), concurrent.futures.Future()]
    jobs[2].set_result(None)
    rc.wait_interactive(jobs, interval=0)
    assert Bar.made[0].total == Bar.made[0].n == 15 and all(job.done() for job in jobs)
    twin.hold(0, 1, 2, 3)
    pending = rc[:].apply(int)

    def make(*shown: Any) -> Bar:
        # Three end when they have been counted.
        for free in twin.free[1:]:
            free.set()
        concurrent.futures.wait(pending.split()[1:])
        return Bar(*shown)

    monkeypatch.setattr(bars, "make_bar", make)
    rc.wait_interactive(timeout=0.05)
    assert (Bar.made[1].n, Bar.made[1].total) == (3, 4)
    assert len(rc.outstanding) == 1 and not pending.done()
    twin.release()
    rc.wait_interactive()
    assert not rc.outstanding and pending.done()


def test_2_11_wait_tells_whether_all_are_done(rc: Client, twin: Twin) -> None:
    twin.hold(0)
    foreign: concurrent.futures.Future[int] = concurrent.futures.Future()
    result = rc[:].apply(int)
    assert rc.wait(result, 0.01) is False and rc.wait(timeout=0.01) is False
    assert rc.wait(result.msg_ids[1], 30) is True and rc.wait(result.msg_ids, 0.01) is False
    assert rc.wait(foreign, 0.01) is False
    foreign.set_result(1)
    assert rc.wait(foreign) is True and rc.wait([foreign, result], 0.01) is False
    twin.release()
    assert rc.wait([foreign, result], 30) is True and rc.wait() is True


def test_a_plain_line_where_there_is_no_tqdm(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "tqdm", None)
    bar = bars.make_bar(4, "f", "tasks", widget=False)
    bar.update(3)
    bar.close()
    assert capsys.readouterr().out == "\rf: 0/4 tasks\rf: 3/4 tasks\n"
