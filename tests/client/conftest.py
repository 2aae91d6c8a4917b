"""The client on a kernel and engines inside the test's own process."""

from collections.abc import Iterator

import pytest

from parallel_python.client import connecting, link
from parallel_python.client.client import Client
from twin import Twin


@pytest.fixture
def twin() -> Iterator[Twin]:
    """Four engines that are namespaces and threads."""
    twin = Twin(4)
    connecting._conversations[None] = link.Conversation(twin)
    yield twin
    twin.end()
    del connecting._conversations[None]


@pytest.fixture
def rc(twin: Twin) -> Client:
    """A client of the twin."""
    return Client()
