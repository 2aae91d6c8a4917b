"""A frontend that reads nothing holds up nobody, and what waits for it is bounded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from notebook import Notebook

# A frontend in a process of its own: it says when its subscription is there.
FRONTEND = """
import sys, zmq
address = sys.argv[1]
socket = zmq.Context().socket(zmq.SUB)
socket.rcvhwm = 0
socket.connect(address)
socket.subscribe(b"")
socket.recv_multipart()
print("ready", flush=True)
while True:
    socket.recv_multipart()
"""


@contextmanager
def stopped_frontend(nb: Notebook) -> Iterator[subprocess.Popen[str]]:
    info = nb.client.get_connection_info()
    address = f"tcp://{info['ip']}:{info['iopub_port']}"
    command = [sys.executable, "-c", FRONTEND, address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as frontend:
        try:
            assert frontend.stdout is not None
            assert frontend.stdout.readline() == "ready\n"
            frontend.send_signal(signal.SIGSTOP)
            yield frontend
        finally:
            frontend.kill()


def resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def nb() -> Iterator[Notebook]:
    with Notebook(engines=1, arguments=["--engines", "lazy"]) as notebook:
        yield notebook


def test_a_stopped_frontend_does_not_stop_another(nb: Notebook) -> None:
    with stopped_frontend(nb):
        start = time.monotonic()
        cell = nb.ok("for i in range(400):\n    display({'text/plain': 'x' * 100_000}, raw=True)")
        assert len(cell.displays) == 400
        assert time.monotonic() - start < 10, "the limit leaves room for that much"


def test_what_waits_for_a_stopped_frontend_is_bounded(nb: Notebook) -> None:
    nb.ok("text = 'x' * 1_000_000")
    before = resident(nb.pid)
    most = 0
    seen = 0

    def watch(_: object) -> None:
        nonlocal most, seen
        seen += 1
        if seen % 20 == 0:
            most = max(most, resident(nb.pid))

    with stopped_frontend(nb):
        cell = nb.run(
            "for i in range(900):\n    display({'text/plain': text}, raw=True)", timeout=120, watch=watch
        )
        assert cell.status == "ok"
        assert len(cell.displays) == 900
        assert most - before < 600 << 20, f"{(most - before) >> 20} MB"
        # Meanwhile and afterwards the kernel answers.
        assert nb.ok("6*7", timeout=10).results == ["42"]


def test_an_interrupt_is_heard_while_output_waits(nb: Notebook) -> None:
    """The only reader reads nothing: the cell waits for it, and the interrupt ends the cell."""
    with stopped_frontend(nb):
        nb.ok("text = 'x' * 1_000_000")
        nb.client.iopub_channel.stop()
        request = nb.send("print('begun')\nwhile True:\n    display({'text/plain': text}, raw=True)")
        time.sleep(3)
        start = time.monotonic()
        nb.manager.interrupt_kernel()
        reply = nb.client.get_shell_msg(timeout=30)
        assert reply["parent_header"]["msg_id"] == request
        assert reply["content"]["ename"] == "KeyboardInterrupt"
        assert time.monotonic() - start < 20
