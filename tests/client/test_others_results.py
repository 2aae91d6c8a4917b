"""Results by their ids: whose they are. Numbers are rows of the reference."""

from __future__ import annotations

import parallel_python as ipp
from parallel_python.client.client import Client
from twin import Twin


def test_2_24_another_clients_tasks(rc: Client) -> None:
    result = rc[:].apply(int, 7)
    other = Client()
    found = other.get_result(result.msg_ids, owner=False)
    assert isinstance(found, ipp.AsyncHubResult) and found.get() == [7] * 4
    # They are kept here from now on, and until somebody owns them.
    assert dict(other.results) == dict.fromkeys(result.msg_ids, 7) and set(other.metadata) == set(
        result.msg_ids
    )
    found = other.get_result(result.msg_ids)
    assert type(found) is ipp.AsyncResult and found.get() == [7] * 4
    assert not other.results and not other.metadata
    assert isinstance(other.get_result(result.msg_ids[2]), ipp.AsyncHubResult)
    mine = other[0].apply(int)
    assert isinstance(other.get_result([*mine.msg_ids, *result.msg_ids]), ipp.AsyncHubResult)


def test_2_24_ones_own(rc: Client, twin: Twin) -> None:
    twin.hold(0)
    result = rc[:].apply(int, 7)
    assert type(rc.get_result(result.msg_ids, owner=False)) is ipp.AsyncResult
    twin.release()
    # Also when its values were taken.
    assert result.get() == [7] * 4 and list(rc.metadata) == []
    for wanted in (result, result.msg_ids, result.msg_ids[1], -1, [0, 1]):
        assert type(rc.get_result(wanted)) is ipp.AsyncResult
