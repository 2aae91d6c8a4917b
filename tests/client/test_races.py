"""What two threads do to a part at the same time: the link's, and one that looks at it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from parallel_python.client import part as module
from parallel_python.client.metadata import Metadata
from parallel_python.client.part import Part
from parallel_python.client.stream import Streamer, stream_parts
from parallel_python.client.task import Task


def a_part() -> Part:
    return next(iter(Task("f", "execute", [2], lambda rank: f"here-{rank}")))


@pytest.mark.parametrize(
    ("happens", "key", "value"),
    [
        (lambda part: part.on_stream("stdout", "hi\n"), "stdout", "hi\n"),
        (lambda part: part.on_publish("display_data", b'{"data": {}}', b"{}", []), "outputs", [{"data": {}}]),
        (lambda part: part.finish(None), "status", "ok"),
        (lambda part: part.on_times(1, 0.0, 1.0), "completed", module.time_of(1.0)),
        (lambda part: part.on_rank(3), "engine_id", 3),
    ],
)
def test_nothing_is_lost_while_metadata_is_made(
    monkeypatch: pytest.MonkeyPatch, happens: Callable[[Part], Any], key: str, value: Any
) -> None:
    """The link's thread takes something in just as somebody asks for the metadata for the first time."""
    part, others = a_part(), []

    def made(**known: Any) -> Metadata:
        metadata = Metadata(**known)
        if threading.current_thread() is threading.main_thread():
            others.append(threading.Thread(target=happens, args=(part,)))
            others[0].start()
            # Where it has to wait for us it comes later, and is not lost either.
            others[0].join(0.1)
        return metadata

    monkeypatch.setattr(module, "Metadata", made)
    metadata = part.metadata
    others[0].join(10)
    assert metadata is part.metadata and metadata[key] == value


def test_1_38_what_comes_while_a_stream_begins_is_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    part, streamer = a_part(), Streamer(single=False)
    followed: list[bool] = []

    def begin(one: Part, kind: str, content: Any) -> None:
        if not followed:
            followed.append(True)
            streamer.follow(part)

    part.listeners += (begin,)
    part.on_stream("stdout", "first\n")
    part.on_stream("stdout", "second\n")
    streamer.end([part])
    part.on_stream("stdout", "third\n")
    assert capsys.readouterr().out == "[stdout:2] first\n[stdout:2] second\n"


def test_1_38_a_stream_that_begins_at_any_moment(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(20):
        part = a_part()

        def prints(part: Part = part) -> None:
            for n in range(200):
                part.on_stream("stdout", f"{n}\n")
            part.finish(None)

        thread = threading.Thread(target=prints)
        thread.start()
        time.sleep(0)
        with stream_parts([part], single=True):
            part.wait(30)
        thread.join(30)
        assert capsys.readouterr().out.split() == [str(n) for n in range(200)]
