"""The client on a kernel and engines inside the test's own process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.machinery import ExtensionFileLoader, ModuleSpec

import pytest

from headless import LIBRARY
from parallel_python.client import connecting, link
from parallel_python.client.client import Client
from twin import Twin


@pytest.fixture(scope="session", autouse=True)
def library() -> None:
    """The engine library, which maps memory files: `parallel_python` itself is imported from its sources."""
    path = str(LIBRARY)
    loader = ExtensionFileLoader("_parallel_python", path)
    module = loader.create_module(ModuleSpec("_parallel_python", loader, origin=path))
    loader.exec_module(module)
    sys.modules["_parallel_python"] = module


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
