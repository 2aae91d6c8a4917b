"""Cells that ask: `input`, `getpass`, the debugger; and clients that may not be asked."""

from __future__ import annotations

from notebook import ANSI, Notebook


def test_input_and_getpass(nb: Notebook) -> None:
    cell, asked = nb.converse("import getpass\n(input('name? '), getpass.getpass('word? '))", "Ada", "secret")
    assert cell.results == ["('Ada', 'secret')"]
    assert asked == [("name? ", False), ("word? ", True)]


def test_the_debugger_reads_commands(nb: Notebook) -> None:
    nb.fails("def f(depth):\n    return depth / 0\nf(3)")
    cell, asked = nb.converse("%debug", "p depth + 39", "q")
    assert "42" in ANSI.sub("", cell.stdout)
    assert [prompt.strip() for prompt, _ in asked] == ["ipdb>", "ipdb>"]
    cell, _ = nb.converse(
        "def g(x):\n    import pdb; pdb.set_trace()\n    return 'went on'\nprint(g(5))", "p x * 2", "c"
    )
    assert "10" in cell.stdout and "went on" in cell.stdout


def test_an_end_of_file_is_an_eof_error(nb: Notebook) -> None:
    cell, _ = nb.converse("input()", "\x04")
    assert cell.reply["content"]["ename"] == "EOFError"


def test_a_client_that_cannot_be_asked(nb: Notebook) -> None:
    cell = nb.run("input('?')", allow_stdin=False)
    assert cell.reply["content"]["ename"] == "StdinNotImplementedError"


def test_a_waiting_input_can_be_interrupted(nb: Notebook) -> None:
    request = nb.send("input('?')", allow_stdin=True)
    nb.client.get_stdin_msg(timeout=20)
    nb.manager.interrupt_kernel()
    cell = nb.collect(request, timeout=20)
    assert cell.reply["content"]["ename"] == "KeyboardInterrupt"
    assert "KeyboardInterrupt: Interrupted by user" in cell.error
    frames = [line for line in cell.error.splitlines() if line.startswith(("File ", "Cell "))]
    assert len(frames) == 1 and frames[0].startswith("Cell In["), "the user's line alone"
    # An answer that comes too late is for nobody: the next question gets its own.
    nb.client.input("late")
    cell, _ = nb.converse("input('next? ')", "mine")
    assert cell.results == ["'mine'"]
