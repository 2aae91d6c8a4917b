"""Bytes that are no Jupyter messages, on every port: logged and dropped, and the kernel is as it was."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import socket
import struct
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import zmq

from notebook import Notebook

PORTS = ("shell", "control", "stdin", "iopub", "hb")
ROUTERS = ("shell", "control", "stdin")

# A ZMTP 3.0 greeting, and a READY command of a DEALER.
GREETING = b"\xff" + b"\0" * 8 + b"\x7f" + b"\3\0" + b"NULL".ljust(20, b"\0") + b"\0" * 32
READY = b"\4\x26\5READY\x0bSocket-Type\0\0\0\6DEALER\x08Identity\0\0\0\0"


@pytest.fixture(scope="module")
def nb() -> Iterator[Notebook]:
    """A kernel without engines."""
    with Notebook(engines=1, arguments=["--engines", "lazy"]) as notebook:
        yield notebook


def address(nb: Notebook, port: str) -> tuple[str, int]:
    info = nb.client.get_connection_info()
    return info["ip"], info[f"{port}_port"]


def is_well(nb: Notebook) -> None:
    """The kernel answers on every channel."""
    assert nb.ok("6*7", timeout=20).results == ["42"]
    nb.client.control_channel.send(nb.client.session.msg("kernel_info_request"))
    assert nb.client.get_control_msg(timeout=10)["content"]["status"] == "ok"
    assert nb.client.hb_channel.is_beating()


def resident(nb: Notebook) -> int:
    """Return the kernel's resident memory in bytes."""
    pages = int(Path(f"/proc/{nb.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def throw(nb: Notebook, port: str, *pieces: bytes) -> None:
    """Send bytes to a port and hang up without reading."""
    with socket.create_connection(address(nb, port), timeout=5) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
        except OSError:
            pass  # It hung up first, as it may.


@pytest.mark.parametrize("port", PORTS)
def test_what_is_not_zeromq(nb: Notebook, port: str) -> None:
    throw(nb, port)
    throw(nb, port, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    throw(nb, port, b"\0" * 100_000)
    throw(nb, port, os.urandom(100_000))
    for cut in (1, 10, 11, 12, 33, 63):
        throw(nb, port, GREETING[:cut])
    throw(nb, port, GREETING[:12] + b"CURVE".ljust(20, b"\0") + b"\0" * 32)
    throw(nb, port, GREETING, READY[:9])
    throw(nb, port, GREETING, os.urandom(1000))
    is_well(nb)


@pytest.mark.parametrize("port", PORTS)
def test_frames_that_are_cut_or_of_absurd_size(nb: Notebook, port: str) -> None:
    before = resident(nb)
    throw(nb, port, GREETING, READY, b"\1\x09<IDS")
    throw(nb, port, GREETING, READY, b"\1\x09<IDS|MSG>", b"\0\xff" + b"x" * 10)
    for size in (1 << 32, 1 << 40, 1 << 62, (1 << 64) - 1):
        throw(nb, port, GREETING, READY, b"\2" + struct.pack(">Q", size) + b"x" * 1000)
    is_well(nb)
    assert resident(nb) - before < 64 << 20, "memory is taken for what arrived, not for what was announced"


def sign(nb: Notebook, *parts: bytes) -> bytes:
    """Return a signature with the kernel's key."""
    return hmac.new(nb.client.session.key, b"".join(parts), hashlib.sha256).hexdigest().encode()


def signed(nb: Notebook, *parts: bytes) -> list[bytes]:
    return [b"<IDS|MSG>", sign(nb, *parts), *parts]


def header(**changes: object) -> bytes:
    ordinary = {"msg_id": uuid.uuid4().hex, "msg_type": "kernel_info_request", "session": "s"}
    return json.dumps({**ordinary, **changes}).encode()


def messages(nb: Notebook) -> list[Sequence[bytes]]:
    """Return messages of which none deserves an answer."""
    right = signed(nb, header(), b"{}", b"{}", b"{}")
    unsigned = [right[0], b"", *right[2:]]
    wrong = [right[0], b"0" * 64, *right[2:]]
    odd = [right[0], b"\xff" * 31, *right[2:]]
    return [
        [],
        [b""],
        [b"<IDS|MSG>"],
        right[1:],
        *[right[:cut] for cut in range(2, 6)],
        unsigned,
        wrong,
        odd,
        [b"<IDS|MSG>"] * 5000,
        [os.urandom(10) for _ in range(5000)],
        signed(nb, b"[]", b"{}", b"{}", b"{}"),
        signed(nb, b"null", b"{}", b"{}", b"{}"),
        signed(nb, b"{", b"{}", b"{}", b"{}"),
        signed(nb, b"{}", b"{}", b"{}", b"{}"),
        signed(nb, header(msg_id=5), b"{}", b"{}", b"{}"),
        signed(nb, header(msg_type=None), b"{}", b"{}", b"{}"),
        signed(nb, header(), b"[]", b"{}", b"{}"),
        signed(nb, header(), b"{}", b"3", b"{}"),
        signed(nb, header(), b"{}", b"{}", b'"text"'),
        signed(nb, header(), b"{}", b"{}", b"\xff\xfe"),
        signed(nb, b'["m", "kernel_info_request", null]', b"{}", b"{}", b"{}"),
    ]


@pytest.mark.parametrize("port", ROUTERS)
def test_messages_that_are_none(nb: Notebook, port: str) -> None:
    ip, number = address(nb, port)
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 1000
        dealer.connect(f"tcp://{ip}:{number}")
        for message in messages(nb):
            if message:
                dealer.send_multipart(message)
        is_well(nb)
        assert not dealer.poll(200), "nothing of this is answered"


@pytest.mark.parametrize("port", ("shell", "control"))
def test_a_message_counts_once(nb: Notebook, port: str) -> None:
    ip, number = address(nb, port)
    message = signed(nb, header(), b"{}", b"{}", b"{}")
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 1000
        dealer.connect(f"tcp://{ip}:{number}")
        dealer.send_multipart(message)
        assert dealer.poll(10_000)
        dealer.recv_multipart()
        dealer.send_multipart(message)
        assert not dealer.poll(300), "a replayed message is refused"
    is_well(nb)


def test_contents_that_are_not_what_was_asked_for(nb: Notebook) -> None:
    """Signed and well-formed requests of odd contents get an error for an answer."""
    ip, number = address(nb, "shell")
    odd = {
        "execute_request": [
            {},
            {"code": 5},
            {"code": None},
            {"code": "1", "silent": "x"},
            {"code": "\ud800"},
        ],
        "complete_request": [{}, {"code": 1, "cursor_pos": "x"}, {"code": "a", "cursor_pos": -5}],
        "inspect_request": [{}, {"code": "len", "cursor_pos": 99}],
        "history_request": [{}, {"hist_access_type": "nothing"}],
        "is_complete_request": [{}, {"code": []}],
        "comm_info_request": [{"target_name": 3}],
        "kernel_info_request": [{"unknown": 1}],
        "nothing_request": [{}],
    }
    deep = b'{"code":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 1000
        dealer.connect(f"tcp://{ip}:{number}")
        for kind, contents in odd.items():
            for content in [*(json.dumps(content).encode() for content in contents), deep]:
                parts = (header(msg_type=kind), b"{}", b"{}", content)
                dealer.send_multipart(signed(nb, *parts))
                assert dealer.poll(10_000), f"{kind} of {content[:80]!r} is answered"
                reply = json.loads(dealer.recv_multipart()[5])
                assert reply["status"] in ("ok", "error", "invalid", "complete"), (kind, content[:80], reply)
    is_well(nb)


def test_nothing_of_it_stays_in_memory(nb: Notebook) -> None:
    ip, number = address(nb, "shell")

    def flood() -> None:
        with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
            dealer.linger = 10_000
            dealer.connect(f"tcp://{ip}:{number}")
            for _ in range(2000):
                dealer.send_multipart([b"<IDS|MSG>", b"wrong", b"x" * 50_000, b"{}", b"{}", b"{}"])
        is_well(nb)

    flood()
    before = resident(nb)
    flood()
    flood()
    assert resident(nb) - before < 32 << 20
