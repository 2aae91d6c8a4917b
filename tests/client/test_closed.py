"""A client that was closed asks for nothing and changes nothing. Numbers are rows of the reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from parallel_python.client.client import Client
from twin import Twin

ASKED: dict[str, Callable[[Client], Any]] = {
    "hub_history": lambda rc: rc.hub_history(),
    "db_query": lambda rc: rc.db_query({}),
    "queue_status": lambda rc: rc.queue_status(),
    "result_status": lambda rc: rc.result_status("another's"),
    "get_result": lambda rc: rc.get_result("another's"),
    "resubmit": lambda rc: rc.resubmit(rc.history[0]),
    "abort": lambda rc: rc.abort(rc.history[0]),
    "abort of all": lambda rc: rc.abort(),
    "purge_hub_results": lambda rc: rc.purge_hub_results(rc.history[0]),
    "purge_results": lambda rc: rc.purge_results(rc.history[0]),
    "purge_everything": lambda rc: rc.purge_everything(),
    "send_signal": lambda rc: rc.send_signal(2),
    "clear": lambda rc: rc.clear(),
    "shutdown": lambda rc: rc.shutdown(),
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("kind", [OSError, RuntimeError])
def test_2_18_a_closed_client(rc: Client, twin: Twin, asked: str, kind: type[Exception]) -> None:
    result = rc[:].apply(int, 5)
    result.owner = False
    result.wait()
    rc.close()
    before = [*rc.history], dict(rc.results), [*twin.forgotten], set(twin.aborted)
    with pytest.raises(kind, match="this client is closed"):
        ASKED[asked](rc)
    assert ([*rc.history], dict(rc.results), twin.forgotten, twin.aborted) == before
    assert result.get() == [5] * 4 and rc.get_result(result.msg_ids[0]).get() == 5
