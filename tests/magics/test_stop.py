"""The stop button, as the magics and the client API have it.

Tests are named after their rows of ``ipyparallel-behaviour.md`` §1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from notebook import Notebook, lines

WAITS_FOR_GATE = """%%px --signal-on-interrupt 0
import os, time
print('begun')
while not os.path.exists({gate!r}):
    time.sleep(0.01)
print('slept')
"""


def test_1_14_the_signal_of_an_interrupt(nb: Notebook, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    cell = nb.interrupt_when(WAITS_FOR_GATE.format(gate=str(gate)), "begun", timeout=20)
    gate.touch()
    assert cell.stderr == "Received Keyboard Interrupt. Sending signal 0 to engines...\n"
    assert cell.reply["content"]["ename"] == "KeyboardInterrupt" and "on after signal 0" in cell.error
    assert nb.ok("%pxresult").stdout.count("slept") == 4


def test_1_47_an_interrupt_is_an_error_and_says_what_was_sent(nb: Notebook) -> None:
    cell = nb.interrupt_when("%%px\nprint('begun')\nimport time\ntime.sleep(60)", "begun", timeout=20)
    assert cell.stderr == "Received Keyboard Interrupt. Sending signal SIGINT to engines...\n"
    assert cell.status == "error" and cell.reply["content"]["ename"] == "KeyboardInterrupt"
    # On a busy machine a rank may be named that is on its way.
    assert "engines 0-3" in cell.error or "not stopped" in cell.error, cell.error


SLEEPS = "def sleeps():\n    import time\n    time.sleep(60)\n"
CLIENT = "import ipyparallel as ipp\nview = ipp.Client()[:]\n"
WAITS = {
    "get": "ar = view.apply_async(sleeps); go(); ar.get()",
    "wait": "ar = view.apply_async(sleeps); go(); ar.wait()",
    "apply_sync": "go(); view.apply_sync(sleeps)",
    "map_sync": "go(); view.map_sync(lambda _: sleeps(), range(4))",
    "execute": "view.block = True; go(); view.execute('import time; time.sleep(60)')",
    "gather": "view.block = True; view['a'] = 1; ar = view.apply_async(sleeps); go(); view.gather('a')",
    "one engine": "go(); view.client[2].apply_sync(sleeps)",
    "balanced": "go(); view.client.load_balanced_view().map_sync(lambda _: sleeps(), range(9))",
    "wait_interactive": "ar = view.apply_async(sleeps); go(); ar.wait_interactive()",
    "client wait": "ar = view.apply_async(sleeps); go(); view.client.wait(ar)",
    "iteration": "ar = view.map_async(lambda _: sleeps(), range(4)); go(); list(ar)",
}


@pytest.mark.parametrize("what", WAITS)
def test_1_49_the_stop_button_while_python_waits_for_engines(nb: Notebook, what: str) -> None:
    nb.ok(CLIENT + SLEEPS + "go = lambda: print('waits', flush=True)")
    # Each time it comes at another moment: also while the call is submitted, and while locks are held.
    for _ in range(10):
        cell = nb.interrupt_when(WAITS[what], "waits", timeout=30)
        assert cell.status == "error" and cell.reply["content"]["ename"] == "KeyboardInterrupt", cell.error
        assert nb.ok("print('next')").stdout == "next\n"
        nb.ok("view.client.abort(); view.block = False")
        nb.ok("%engines interrupt")
        assert sorted(nb.ok("%px print(1)", timeout=30).stdout.splitlines()) == lines("1").splitlines()


def test_1_48_and_1_14_no_signal_at_all_leaves_the_engines_alone(nb: Notebook, tmp_path: Path) -> None:
    """They may end while the interrupted cell still waits for them."""
    gate, begun = tmp_path / "gate", []

    def watch(message: dict[str, Any]) -> None:
        text = message["content"].get("text", "")
        if "begun" in text and not begun:
            begun.append(text)
            nb.manager.interrupt_kernel()
        if "Sending signal 0" in text:
            gate.touch()

    cell = nb.run(WAITS_FOR_GATE.format(gate=str(gate)), timeout=20, watch=watch)
    assert cell.reply["content"]["ename"] == "KeyboardInterrupt"
    assert nb.ok("%pxresult").stdout.count("slept") == 4


def test_1_50_an_idle_engine_ignores_an_interrupt(nb: Notebook) -> None:
    nb.ok("%px kept = 1")
    nb.ok("import ipyparallel as ipp, signal\nipp.Client().send_signal(signal.SIGINT, block=True)")
    # The manager does not wait for the answer, and the next cell would overtake what it asked for.
    assert nb.control("interrupt_request")["status"] == "ok"
    assert nb.ok("%px print(kept)").stdout == lines("1")
    cell = nb.interrupt_when("%%px\nprint('begun', flush=True)\nMPI.COMM_WORLD.recv()", "begun", timeout=30)
    assert cell.reply["content"]["ename"] == "KeyboardInterrupt", "also in calls of C, as those of MPI"


def test_1_51_an_alarm_of_the_users_ends_a_wait(nb: Notebook) -> None:
    nb.ok(CLIENT + SLEEPS)
    code = """
import signal
def ring(*_):
    raise KeyboardInterrupt('the alarm')
before = signal.signal(signal.SIGALRM, ring)
try:
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    view.apply_sync(sleeps)
except KeyboardInterrupt as error:
    print(error)
finally:
    signal.signal(signal.SIGALRM, before)
"""
    assert nb.ok(code, timeout=20).stdout == "the alarm\n"
    assert nb.ok("%px print(1)", timeout=30).stdout == lines("1")
