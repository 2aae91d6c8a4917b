"""Plain cells: they run in the notebook's own Python and never wait for engines."""

from __future__ import annotations

import os
import signal
from typing import Any

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


def test_a_signal_to_the_kernel_interrupts_too(nb: Notebook) -> None:
    def interrupt(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream":
            os.kill(nb.pid, signal.SIGINT)

    for code in ("import time; time.sleep(600)", "%px time.sleep(600)"):
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
