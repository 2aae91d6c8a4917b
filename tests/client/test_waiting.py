"""Waiting for engines that come, and for engines that will not. Numbers are rows of the reference."""

from __future__ import annotations

from typing import Any

import pytest

import parallel_python as ipp
from parallel_python.client.client import Client
from twin import Twin


def engines(rc: Client) -> Any:
    return rc._conversation.engines


def test_2_13_engines_that_are_stopped_meanwhile(rc: Client, twin: Twin) -> None:
    awaited = rc.wait_for_engines(5, block=False)
    assert awaited is not None and not awaited.done()
    twin.tell("engines", "stopping", "", [])
    twin.tell("engines", "off", "", [])
    with pytest.raises(ipp.EngineError, match="there will be no engines: they were stopped"):
        awaited.result(30)
    assert engines(rc).watchers == []


def test_2_13_engines_that_were_stopped_before(rc: Client, twin: Twin) -> None:
    twin.tell("engines", "off", "", [])
    assert engines(rc).wait(lambda: engines(rc).phase == "off", 30)
    with pytest.raises(ipp.EngineError, match="they were stopped, and have to be started first"):
        rc.wait_for_engines(1, interactive=False, timeout=5)
    with pytest.raises(ipp.NoEnginesRegistered, match=r"requires engines.* will be none.*`%engines start`\."):
        rc.direct_view().apply(int)
    # Whoever starts them again is waited for.
    twin.tell("engines", "launching", "", [])
    assert engines(rc).wait(lambda: engines(rc).phase == "launching", 30)
    awaited = rc.wait_for_engines(4, block=False)
    assert awaited is not None and not awaited.done()
    twin.open()
    assert awaited.result(30) is None


def test_2_13_a_restart_is_waited_for(rc: Client, twin: Twin) -> None:
    awaited = rc.wait_for_engines(5, block=False)
    assert awaited is not None
    twin.tell("engines", "stopping", "", [])
    twin.tell("engines", "launching", "", [])
    twin.tell("engines", "up", "", [(rank, "here", 20_000 + rank, True) for rank in range(5)])
    assert awaited.result(30) is None


@pytest.mark.parametrize("n", ["a", 1.5])
def test_2_13_what_is_no_number_leaves_nothing_behind(rc: Client, n: Any) -> None:
    with pytest.raises(TypeError, match="integer"):
        rc.wait_for_engines(n, timeout=5)
    assert engines(rc).watchers == []
