"""Signals by number and by name. Numbers are rows of the reference."""

from __future__ import annotations

import errno
import signal

import pytest

import parallel_python as ipp
from parallel_python.client.client import Client
from parallel_python.client.control import signal_number


@pytest.mark.parametrize(
    ("given", "number"),
    [("SIGINT", 2), ("9", 9), (0, 0), (signal.SIGTERM, 15), (signal.NSIG - 1, signal.NSIG - 1)],
)
def test_2_17_numbers_and_names(given: int | str, number: int) -> None:
    assert signal_number(given) == number


@pytest.mark.parametrize("wrong", [99, -1, 10**6, 1 << 40, "99"])
def test_2_17_what_is_no_signal(rc: Client, wrong: int | str) -> None:
    for send in (rc.send_signal, ipp.Cluster.from_dict({}).signal_engines_sync):
        with pytest.raises(OSError, match=f"there is no signal {wrong!r}: they are 1 to") as raised:
            send(wrong)
        assert raised.value.errno == errno.EINVAL
