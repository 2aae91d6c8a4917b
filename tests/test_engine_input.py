"""Code on engines that asks the person at the notebook: `input`, `getpass`, the debugger."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from notebook import ANSI, Notebook, lines


def test_one_engine_asks_and_is_named(nb: Notebook) -> None:
    cell, asked = nb.converse(
        "%%px -t 2\nimport getpass\nprint('before', end='')\n"
        "print((input('name? '), getpass.getpass('word? ')))",
        "Ada",
        "secret",
    )
    assert asked == [("[stdin:2] name? ", False), ("[stdin:2] word? ", True)]
    assert cell.stdout == "[stdout:2] before\n[stdout:2] ('Ada', 'secret')\n"


def test_engines_that_ask_at_once_are_served_in_their_order(nb: Notebook) -> None:
    cell, asked = nb.converse(
        "%%px\nfirst = input('first? ')\nsecond = input('second? ')\nprint(first, second)",
        *"abcdefgh",
    )
    expected = [(f"[stdin:{rank}] {nth}? ", False) for nth in ("first", "second") for rank in range(4)]
    # Who comes late, because the machine is busy, is served late.
    assert sorted(asked) == sorted(expected)
    answers = {prompt: answer for (prompt, _), answer in zip(asked, "abcdefgh", strict=True)}
    for rank in range(4):
        first, second = (answers[f"[stdin:{rank}] {nth}? "] for nth in ("first", "second"))
        assert f"[stdout:{rank}] {first} {second}\n" in cell.stdout


def test_what_was_printed_stands_above_the_question(nb: Notebook) -> None:
    """The answer is given when the text has been seen, which is before it could be shown with the rest."""

    def watch(message: dict[str, Any]) -> None:
        if "and a half" in message["content"].get("text", ""):
            nb.client.get_stdin_msg(timeout=20)
            nb.client.input("x")

    code = "%%px -t 1\nprint('one line')\nprint('and a half', end='')\ninput()"
    cell = nb.run(code, 20, watch, allow_stdin=True)
    assert cell.stdout == "[stdout:1] \none line\nand a half\n"
    assert "'x'" in cell.results[-1]


def test_running_code_that_calls_a_magic_can_ask_through_it(nb: Notebook) -> None:
    cell, asked = nb.converse("for word in 'ab':\n    %px print(input('next? '))", *"01234567")
    asked_ranks = [prompt for prompt, _ in asked]
    assert (
        sorted(asked_ranks[:4]) == sorted(asked_ranks[4:]) == [f"[stdin:{rank}] next? " for rank in range(4)]
    )
    assert sorted(line[-1] for line in cell.stdout.splitlines()) == list("01234567")


def test_a_frontend_that_cannot_be_asked(nb: Notebook) -> None:
    cell = nb.run("%%px -t 0\ninput('?')", allow_stdin=False)
    assert cell.reply["content"]["ename"] == "StdinNotImplementedError"
    assert "does not support input requests" in cell.error


def test_a_cell_that_does_not_wait_cannot_ask(nb: Notebook) -> None:
    nb.ok("%%px --noblock -t 0\ntry:\n    input('?')\nexcept Exception as error:\n    refused = type(error)")
    assert "StdinNotImplementedError" in nb.ok("%%px -t 0\nprint(refused.__name__)").stdout


def test_a_waiting_question_can_be_interrupted(nb: Notebook) -> None:
    request = nb.send("%px input('?')", allow_stdin=True)
    asked = [f"[stdin:{rank}] ?" for rank in range(4)]
    assert nb.client.get_stdin_msg(timeout=20)["content"]["prompt"] in asked
    nb.manager.interrupt_kernel()
    cell = nb.collect(request, timeout=20)
    assert cell.status == "error"
    assert "KeyboardInterrupt" in cell.error
    # An answer that comes too late is for nobody: the next question gets its own.
    nb.client.input("late")
    cell, _ = nb.converse("%%px -t 3\nprint(input('next? '))", "mine")
    assert cell.stdout == lines("mine", [3])


def test_an_end_of_file_is_an_eof_error(nb: Notebook) -> None:
    cell, _ = nb.converse("%%px -t 0\ninput()", "\x04")
    assert cell.reply["content"]["ename"] == "EOFError"


def test_the_debugger_looks_into_an_error(nb: Notebook) -> None:
    nb.fails("%%px -t 0\ndef f(depth):\n    return depth / 0\nf(3)")
    cell, asked = nb.converse("%%px -t 0\n%debug", "p depth + 39", "q")
    assert "42" in ANSI.sub("", cell.stdout)
    assert [prompt.strip() for prompt, _ in asked] == ["[stdin:0] ipdb>"] * 2


@pytest.mark.parametrize("stop", ["import pdb; pdb.set_trace()", "breakpoint()"])
def test_the_debugger_stops_in_the_middle(nb: Notebook, stop: str) -> None:
    cell, asked = nb.converse(
        f"%%px -t 1\ndef g(x):\n    {stop}\n    return 'went on'\nprint(g(5))", "p x * 2", "c"
    )
    assert "10" in cell.stdout and "went on" in cell.stdout
    assert all(prompt.startswith("[stdin:1] ") for prompt, _ in asked)


def test_an_engine_that_dies_leaves_its_question(nb: Notebook) -> None:
    """Last in this file: the set is a new one afterwards."""
    pid = next(engine["pid"] for engine in nb.engines() if engine["engine"] == 0)
    request = nb.send("%%px -t 0,1\nif mpi_rank == 0: input('?')", allow_stdin=True)
    nb.client.get_stdin_msg(timeout=20)
    os.kill(pid, signal.SIGKILL)
    cell = nb.collect(request, timeout=20)
    assert "engine 0" in cell.error and "SIGKILL" in cell.error
    nb.ok("%engines restart", timeout=120)
    cell, _ = nb.converse("%%px -t 0\nprint(input('next? '))", "mine")
    assert cell.stdout == lines("mine", [0])
