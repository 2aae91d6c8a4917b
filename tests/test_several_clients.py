"""Several clients of one set of engines, a kernel's or one without a notebook, through its own socket."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from headless import engines
from notebook import Notebook
from test_client_link import HELPERS
from test_headless import script

#: Calls, for a plain script.
CALL = "def call(function, *args):\n    return ('apply', pickle.dumps((function, args, {})), [])\n"


def test_clients_of_a_running_kernel_come_and_go(environment: dict[str, str], tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    waits = f"print('heard', open({str(fifo)!r}).read())"
    recall = (
        "core.recall(1, ['left'])\n"
        "wait(lambda one: one[:2] == ('over', 'left'))\n"
        "print([one[4] for one in told if one[0] == 'stream'])\n"
    )
    with Notebook(engines=2, environment=environment) as notebook:
        notebook.ok("%px pass", timeout=120)
        # One that leaves at once.
        script(environment, f"core.submit([('left', 'left', [0], ('execute', {waits!r}, False))])\n")
        # One that uses the other engine meanwhile, and the notebook.
        other = CALL + (
            "core.submit([('mine', 'pow', [1], call(pow, 2, 10))])\n"
            "wait(lambda one: one[:2] == ('over', 'mine'))\n"
            "print([pickle.loads(one[3]) for one in told if one[0] == 'value'])\n"
        )
        assert script(environment, other) == "[1024]\n"
        notebook.ok(HELPERS)
        cell = notebook.ok(
            "ask('recall', ['mine', 'left'])\n"
            "core.submit([('own', 'own', [1], call(pow, 3, 2))])\n"
            "wait('own', 'mine')\n"
            "print(values('mine'), values('own'), of('left', 'over'))"
        )
        assert cell.stdout == "{1: 1024} {1: 9} []\n"
        # Two that wait for what the first one began.
        with ThreadPoolExecutor() as pool:
            waiting = [pool.submit(script, environment, recall) for _ in range(2)]
            fifo.write_text("it")
            assert [one.result() for one in waiting] == ["['heard it\\n']\n"] * 2
        assert notebook.ok("wait('left')\nprint(outcomes('left'))").stdout == "{0: 'ok'}\n"


def test_an_engine_that_dies_idle_is_told_of_at_once() -> None:
    with Notebook(engines=2) as notebook:
        notebook.ok("%px pass", timeout=120)
        notebook.ok(HELPERS)
        cell = notebook.ok(
            "import signal\n"
            "def alive():\n"
            "    return [one[3] for one in [one for one in told if one[0] == 'engines'][-1][3]]\n"
            "core.open()\n"
            "while not told:\n"
            "    told.extend(core.next([]))\n"
            "print(alive())\n"
            "os.kill(told[-1][3][1][2], signal.SIGKILL)\n"
            "while all(alive()):\n"
            "    told.extend(core.next([]))\n"
            "print(alive(), told[-1][1])"
        )
    assert cell.stdout == "[True, True]\n[True, False] up\n"


@pytest.mark.parametrize("code", ["input('name? ')", "import getpass\ngetpass.getpass()"])
def test_nobody_can_be_asked_without_a_notebook(environment: dict[str, str], code: str) -> None:
    engines(environment, "start", "-n", "1", "--daemonize")
    try:
        asked = (
            f"core.submit([('asks', 'asks', [0], ('execute', {code!r}, False))])\n"
            "wait(lambda one: one[:2] == ('over', 'asks'))\n"
            "[done] = [one for one in told if one[0] == 'done']\n"
            "print(done[3][0], '|', done[3][1])\n"
        )
        said = script(environment, asked)
    finally:
        engines(environment, "stop")
    assert said.startswith(
        "StdinNotImplementedError | this engine asks for input, but it belongs to no notebook"
    )
