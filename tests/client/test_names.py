"""What notebooks import from ipyparallel's modules, beside what they work with."""

from __future__ import annotations

import os
import socket
import sys
import types
from pathlib import Path

import pytest

import parallel_python as ipp
from parallel_python import _aliases
from parallel_python.client import util
from parallel_python.view import LazyMapIterator, lazymap


def test_3_34_the_iterator_is_where_views_are() -> None:
    assert LazyMapIterator is lazymap.LazyMapIterator
    assert _aliases.MODULES["ipyparallel.client.view"] == LazyMapIterator.__module__.rpartition(".")[0]


@pytest.mark.parametrize("library", ["/opt/x/libparallel_python_engine.so", None])
def test_the_package_says_where_it_is(monkeypatch: pytest.MonkeyPatch, library: str | None) -> None:
    """As a loader that sets no file has it: a place inside of what it is loaded from."""
    engine = types.ModuleType("_parallel_python")
    if library is not None:
        engine.__file__ = library
    monkeypatch.setitem(sys.modules, "_parallel_python", engine)
    monkeypatch.delattr(ipp, "__file__")
    assert ipp.__file__ == f"{library or os.readlink('/proc/self/exe')}/parallel_python/__init__.py"
    assert Path(ipp.__file__).parents[1].is_file() or library


def test_addresses_that_stand_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    here = "127.0.0.1"
    assert util.disambiguate_url("tcp://*:10101") == f"tcp://{here}:10101"
    assert util.disambiguate_url("tcp://0.0.0.0:1", socket.gethostname()) == f"tcp://{here}:1"
    for same in ("tcp://10.1.2.3:4", "ipc:///tmp/x", "no address", "tcp://a:b:c"):
        assert util.disambiguate_url(same, "10.9.8.7") == same
    # An address in a block that is for documentation is of no machine.
    assert util.disambiguate_url("tcp://*:4", "192.0.2.1") == "tcp://192.0.2.1:4"

    def unknown(name: str) -> str:
        raise OSError(name)

    monkeypatch.setattr(socket, "gethostbyname", unknown)
    assert util.disambiguate_ip_address("*", "elsewhere") == "elsewhere"
    assert util.utcnow().tzinfo is util.utc
