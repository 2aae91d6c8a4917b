"""What a task prints, on its way into its metadata."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from parallel_python.client.part import Part
from parallel_python.client.task import Task


@pytest.fixture
def part() -> Part:
    """A part that runs."""
    known: Any = SimpleNamespace(
        name="x", submitted=0.0, label=None, after=[], follow=[], code="", broadcast=False, coalescing=False,
        method="execute", uuid_of=str, file=None,
    )  # fmt: skip
    task: Task = known
    return Part(task, 0)


@pytest.mark.parametrize("size", [1, 1000, 100_000])
def test_it_is_whole_whenever_it_is_read(part: Part, size: int) -> None:
    piece = "x" * size
    kept = part.metadata
    for n in range(1, 50):
        part.on_stream("stdout", piece)
        part.on_stream("stderr", "y")
        # Whoever has kept what was read once sees a short text as it is, a long one almost.
        assert len(kept["stdout"]) >= n * size * 7 / 8 and (n * size > 60_000 or kept.stdout == n * piece)
        if n % 10 == 0:
            assert part.metadata["stdout"] == n * piece and part.metadata["stderr"] == n * "y"
    part.finish(None)
    assert kept["stdout"] == 49 * piece and kept["stderr"] == 49 * "y"
    assert list(kept) == list(type(kept)()), "keys stay in their order"


def test_who_begins_to_listen_gets_all(part: Part) -> None:
    for _ in range(3):
        part.on_stream("stdout", "x" * 70_000)
    got: list[str] = []
    [(stream, there)] = part.listen(lambda part, kind, content: got.append(content))
    part.on_stream("stdout", "end")
    assert (stream, len(there), got) == ("stdout", 210_000, ["end"])


def test_what_was_cleared_does_not_come_back(part: Part) -> None:
    for _ in range(3):
        part.on_stream("stdout", "x" * 70_000)
    part.on_publish("clear_output", b"{}", b"{}", [])
    part.on_stream("stdout", "new")
    assert part.metadata["stdout"] == "new"
    part.restart()
    assert part.metadata["stdout"] == ""


def test_twice_as_much_takes_twice_as_long(part: Part) -> None:
    """Appended to the whole piece by piece, these 32 MiB would be copied 1,000 times: 16 GB."""
    piece = "x" * 32768
    began = time.process_time()
    for _ in range(1024):
        part.on_stream("stdout", piece)
    part.finish(None)
    assert len(part.metadata["stdout"]) == 1024 * 32768
    assert time.process_time() - began < 3
