"""The client on a kernel and engines inside the test's own process."""

from collections.abc import Iterator

import pytest

from parallel_python.client import link
from parallel_python.client.client import Client
from twin import Twin


@pytest.fixture
def twin() -> Iterator[Twin]:
    """Four engines that are namespaces and threads."""
    before, twin = link._conversation, Twin(4)
    link._conversation = link.Conversation(twin)
    yield twin
    twin.end()
    link._conversation = before


@pytest.fixture
def rc(twin: Twin) -> Client:
    """A client of the twin."""
    return Client()
