"""Bytes that are no Jupyter messages, on every port: logged and dropped, and the kernel is as it was."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import resource
import socket
import struct
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import zmq

from notebook import Notebook, eventually

PORTS = ("shell", "control", "stdin", "iopub", "hb")
ROUTERS = ("shell", "control", "stdin")

# A ZMTP 3.0 greeting.
GREETING = b"\xff" + b"\0" * 8 + b"\x7f" + b"\3\0" + b"NULL".ljust(20, b"\0") + b"\0" * 32
PEERS = {"iopub": b"SUB", "hb": b"REQ"}


def ready(port: str) -> bytes:
    """Return the READY command of a socket that a port talks to."""
    kind = PEERS.get(port, b"DEALER")
    body = b"\5READY\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind + b"\x08Identity\0\0\0\0"
    return bytes([4, len(body)]) + body


def frame(data: bytes, *, more: bool) -> bytes:
    """Return a frame as it is on the wire."""
    return struct.pack(">BQ", 2 | more, len(data)) + data


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the kernel's warnings are."""
    return tmp_path_factory.mktemp("hostile") / "log"


@pytest.fixture(scope="module")
def nb(log: Path) -> Iterator[Notebook]:
    """A kernel without engines."""
    notebook = Notebook(engines=1, arguments=["--engines", "lazy"])
    with log.open("wb") as file:
        notebook.streams = {"stderr": file}
        with notebook:
            yield notebook


def address(nb: Notebook, port: str) -> tuple[str, int]:
    info = nb.client.get_connection_info()
    return info["ip"], info[f"{port}_port"]


def is_well(nb: Notebook) -> None:
    """The kernel answers on every channel."""
    assert nb.ok("6*7", timeout=20).results == ["42"]
    assert nb.control("kernel_info_request")["status"] == "ok"
    assert eventually(nb.client.hb_channel.is_beating)


def is_logged(log: Path, words: str, more_than: int = 0) -> bool:
    """Wait until the kernel has logged words more often than that."""
    return eventually(lambda: log.read_text().count(words) > more_than)


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
    throw(nb, port, GREETING, ready(port)[:9])
    throw(nb, port, GREETING, os.urandom(1000))
    is_well(nb)


def test_the_handshake_of_these_tests_is_one(nb: Notebook) -> None:
    """What follows it below is read as frames, and not refused for the handshake."""
    *parts, last = signed(nb, header(), b"{}", b"{}", b"{}")
    with socket.create_connection(address(nb, "shell"), timeout=10) as connection:
        connection.sendall(GREETING + ready("shell"))
        connection.sendall(b"".join(frame(part, more=True) for part in parts) + frame(last, more=False))
        answer = b""
        while b"kernel_info_reply" not in answer:
            piece = connection.recv(65536)
            assert piece, "it hung up"
            answer += piece


@pytest.mark.parametrize("port", PORTS)
def test_frames_that_are_cut_or_of_absurd_size(nb: Notebook, log: Path, port: str) -> None:
    before, logged = resident(nb), log.read_text().count("does not speak ZMTP")
    throw(nb, port, GREETING, ready(port), b"\1\x09<IDS")
    throw(nb, port, GREETING, ready(port), b"\1\x09<IDS|MSG>", b"\0\xff" + b"x" * 10)
    sizes = [1 << 29, 1 << 31, 1 << 32, 1 << 40, 1 << 62, (1 << 63) - 1, (1 << 64) - 1]
    # A message's only frame, one of many, a command; after the handshake, in it, and in the greeting's place.
    for flags in (2, 3, 6):
        for size in sizes:
            absurd = struct.pack(">BQ", flags, size) + b"x" * 1000
            throw(nb, port, GREETING, ready(port), absurd)
            throw(nb, port, GREETING, absurd)
            throw(nb, port, absurd)
    throw(nb, port, GREETING, ready(port), frame(b"", more=True) * 100_000)
    is_well(nb)
    assert resident(nb) - before < 64 << 20, "memory is taken for what arrived, not for what was announced"
    assert is_logged(log, "does not speak ZMTP", logged)


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
def test_messages_that_are_none(nb: Notebook, log: Path, port: str) -> None:
    ip, number = address(nb, port)
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 1000
        dealer.connect(f"tcp://{ip}:{number}")
        for message in messages(nb):
            if message:
                dealer.send_multipart(message)
        is_well(nb)
        assert not dealer.poll(200), "nothing of this is answered"
    for reason in ("without the delimiter", "of the 5 parts", "signature is wrong", "is not a JSON object"):
        assert is_logged(log, reason)


@pytest.mark.parametrize("port", ("shell", "control"))
def test_a_message_counts_once(nb: Notebook, log: Path, port: str) -> None:
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
    assert is_logged(log, "replay refused")


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


@pytest.mark.parametrize("kind", ["wrong signature", "replayed", "no object"])
def test_nothing_of_it_stays_in_memory(nb: Notebook, kind: str) -> None:
    ip, number = address(nb, "shell")
    big = json.dumps({"code": "x" * 50_000}).encode()
    once = signed(nb, header(msg_type="nothing_request"), b"{}", b"{}", big)
    kinds = {
        "wrong signature": lambda: [b"<IDS|MSG>", b"wrong", b"x" * 50_000, b"{}", b"{}", b"{}"],
        "replayed": lambda: once,
        "no object": lambda: signed(nb, header(), b"{}", b"{}", json.dumps(["x" * 50_000]).encode()),
    }

    def flood() -> None:
        with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
            dealer.linger = 10_000
            dealer.connect(f"tcp://{ip}:{number}")
            for _ in range(2000):
                dealer.send_multipart(kinds[kind]())
        is_well(nb)

    flood()
    before = resident(nb)
    flood()
    flood()
    assert resident(nb) - before < 32 << 20


def descriptors(nb: Notebook) -> int:
    """Return how many descriptors the kernel has open."""
    return len(os.listdir(f"/proc/{nb.pid}/fd"))


@pytest.mark.parametrize("port", PORTS)
def test_nothing_of_a_connection_stays(nb: Notebook, port: str) -> None:
    def flood() -> None:
        for _ in range(150):
            throw(nb, port, GREETING[:20])
            throw(nb, port, os.urandom(64))
            throw(nb, port, GREETING, ready(port), frame(b"x" * 10_000, more=False))
            throw(nb, port, GREETING, ready(port), frame(b"x" * 10_000, more=True), b"\2" + b"\x7f" * 8)
        is_well(nb)

    flood()
    before, files = resident(nb), descriptors(nb)
    flood()
    flood()
    assert resident(nb) - before < 16 << 20
    deadline = time.monotonic() + 20
    while descriptors(nb) > files + 5:
        assert time.monotonic() < deadline, "the connections are closed"
        is_well(nb)


def test_more_connections_than_there_are_descriptors(nb: Notebook) -> None:
    """Those that are there go on, and when the others have left there is room again."""
    soft, hard = resource.prlimit(nb.pid, resource.RLIMIT_NOFILE)
    room = descriptors(nb) + 20
    resource.prlimit(nb.pid, resource.RLIMIT_NOFILE, (room, hard))
    crowd = [socket.create_connection(address(nb, "shell"), timeout=5) for _ in range(50)]
    try:
        is_well(nb)
    finally:
        for connection in crowd:
            connection.close()
        resource.prlimit(nb.pid, resource.RLIMIT_NOFILE, (soft, hard))
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        ip, number = address(nb, "shell")
        dealer.connect(f"tcp://{ip}:{number}")
        dealer.send_multipart(signed(nb, header(), b"{}", b"{}", b"{}"))
        assert dealer.poll(20_000), "a new client is let in"
    is_well(nb)
