"""Plain cells: they run in the notebook's own Python and never wait for engines."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from notebook import Notebook, descendants, wait_until_gone


def test_output_results_and_errors(nb: Notebook) -> None:
    cell = nb.ok("print('out')\nimport sys\nprint('err', file=sys.stderr)\n6*7")
    assert (cell.stdout, cell.stderr) == ("out\n", "err\n")
    assert cell.results == ["42"]
    cell = nb.fails("def f():\n    1/0\nf()")
    assert cell.reply["content"]["ename"] == "ZeroDivisionError"
    assert "----> 2     1/0" in cell.error


def test_a_plain_cell_can_be_interrupted(nb: Notebook) -> None:
    waits = (
        "time.sleep(600)",
        "while True: pass",
        "await asyncio.sleep(600)",
        # A sleep in C, which knows nothing of Python's signals.
        "ctypes.CDLL(None).sleep(600)",
    )
    for wait in waits:
        cell = nb.interrupt_when(
            f"import time, asyncio, ctypes\nprint('begun', flush=True)\n{wait}", "begun", timeout=30
        )
        assert cell.reply["content"]["ename"] in ("KeyboardInterrupt", "CancelledError"), wait
        assert cell.seconds < 20
    assert nb.ok("1+1").results == ["2"]


@pytest.mark.parametrize("px", ["", "%%px\n"])
def test_what_follows_an_interrupt_ends_no_wait_of_the_next_cell(nb: Notebook, px: str) -> None:
    """A call of C that is told that a signal came fails, whatever signal it was."""
    cell = nb.interrupt_when(f"{px}import time\nprint('begun', flush=True)\ntime.sleep(600)", "begun")
    assert "KeyboardInterrupt" in cell.error
    cell = nb.ok(f"{px}import ctypes\nprint(ctypes.CDLL(None).usleep(700_000))")
    assert "-1" not in cell.stdout and "0" in cell.stdout


LOCAL_WAITS = {
    "an event": "import threading; go(); threading.Event().wait()",
    "a condition": "import threading; c = threading.Condition(); c.acquire(); go(); c.wait()",
    "a lock that is taken": "import threading; lock = threading.Lock(); lock.acquire(); go(); lock.acquire()",
    "a queue": "import queue; go(); queue.Queue().get()",
    "a simple queue": "import queue; go(); queue.SimpleQueue().get()",
    "a thread": (
        "import threading, time; thread = threading.Thread(target=time.sleep, args=(90,), daemon=True)\n"
        "thread.start(); go(); thread.join()"
    ),
    "a future": "from concurrent.futures import Future; go(); Future().result()",
    "futures": "from concurrent.futures import Future, wait; go(); wait([Future(), Future()])",
    "futures as they come": "import concurrent.futures as cf; go(); list(cf.as_completed([cf.Future()]))",
    "a process": "import subprocess; go(); subprocess.run(['sleep', '90'])",
}


@pytest.mark.parametrize("what", LOCAL_WAITS)
def test_what_a_plain_cell_waits_in_can_be_interrupted(nb: Notebook, what: str) -> None:
    nb.ok("go = lambda: print('waits', flush=True)")
    cell = nb.interrupt_when(LOCAL_WAITS[what], "waits", timeout=30)
    assert cell.reply["content"]["ename"] == "KeyboardInterrupt", cell.error
    assert nb.ok("1 + 1").results == ["2"]


def test_an_interrupt_where_a_lock_would_be_kept_comes_a_moment_later(nb: Notebook) -> None:
    code = """
import signal, time
finished = []
names = {"__name__": "concurrent.futures._base", "signal": signal, "finished": finished}
exec("def in_a_future():\\n    signal.raise_signal(signal.SIGINT)\\n    finished.append(True)", names)
names["in_a_future"](); time.sleep(60)
"""
    cell = nb.run(code, timeout=30)
    assert cell.reply["content"]["ename"] == "KeyboardInterrupt", cell.error
    assert nb.ok("finished").results == ["[True]"]


def test_an_interrupt_within_a_finalizer_comes_again(nb: Notebook) -> None:
    code = """
import signal, time
class Last:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
Last(); time.sleep(60)
"""
    cell = nb.run(code, timeout=30)
    assert cell.reply["content"]["ename"] == "KeyboardInterrupt" and "sleep" in cell.error, cell.error


def test_an_error_at_a_step_without_a_line_is_shown(nb: Notebook, tmp_path: Path) -> None:
    (tmp_path / "without_lines.py").write_text("def fail():\n    raise ValueError('no line')\n")
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from without_lines import fail
steps = len(fail.__code__.co_code) // 2
# Entries of a table that give no line to eight steps each (InternalDocs/code_objects.md).
fail.__code__ = fail.__code__.replace(co_linetable=bytes([0x80 | 15 << 3 | 7]) * (steps // 8 + 1))
fail()
"""
    cell = nb.run(code)
    assert cell.reply["content"]["ename"] == "ValueError" and "no line" in cell.error, cell.reply["content"]


def test_a_signal_to_the_kernel_interrupts_too(nb: Notebook) -> None:
    def interrupt(message: dict[str, Any]) -> None:
        if "begun" in message["content"].get("text", ""):
            os.kill(nb.pid, signal.SIGINT)

    for code in ("import time; time.sleep(600)", "%px import time; time.sleep(600)"):
        cell = nb.run(
            f"print('begun', flush=True)\nif True:\n    import time\n    {code}", watch=interrupt, timeout=30
        )
        assert cell.reply["content"]["ename"] == "KeyboardInterrupt"
    assert nb.ok("1+1").results == ["2"]


def test_an_interrupt_reaches_the_engines_of_a_nested_px(nb: Notebook) -> None:
    # The interrupt comes while the engines run, or a moment before the code has called them.
    for begun in (
        "%px import time; print('begun', flush=True); time.sleep(600)",
        "print('begun', flush=True)\n    %px import time; time.sleep(600)",
    ):
        cell = nb.interrupt_when(f"if True:\n    {begun}", "begun", timeout=30)
        assert cell.reply["content"]["ename"] == "KeyboardInterrupt"
        assert "%px" not in cell.error and "run_line_magic('px'" in cell.error
        assert "parallel_python/" not in cell.error, "only the user's own frames are shown"
        assert nb.ok("%px 1", timeout=20).status == "ok"


def test_plain_cells_do_not_wait_for_engines_that_are_starting() -> None:
    with Notebook(engines=4) as nb:
        cell = nb.ok("1+1")
        assert cell.results == ["2"]


def test_cells_behind_an_error_are_aborted(nb: Notebook) -> None:
    requests = [nb.send(code) for code in ("%px 1/0", "%px print('not run')", "print('not run')")]
    cells = [nb.collect(request) for request in requests]
    assert [cell.status for cell in cells] == ["error", "aborted", "aborted"]
    assert nb.ok("print('run')").stdout == "run\n"


def test_completion_and_help_are_answered(nb: Notebook) -> None:
    nb.ok("a_long_name = 1")
    reply = nb.client.complete("a_long_n", reply=True, timeout=10)
    assert "a_long_name" in reply["content"]["matches"]
    reply = nb.client.inspect("len", reply=True, timeout=10)
    assert reply["content"]["found"]
    info = nb.client.kernel_info(reply=True, timeout=10)["content"]
    assert (info["implementation"], info["protocol_version"]) == ("parallel-python", "5.5")


def test_quit_ends_the_kernel() -> None:
    with Notebook(engines=1) as nb:
        nb.ok("%px pass", timeout=120)
        processes = descendants(nb.pid) | {nb.pid}
        nb.ok("quit")
        assert not wait_until_gone(processes, 10)
