"""Results: kept, waited for, shown again.

Tests are named after their rows of ``ipyparallel-behaviour.md`` §1.
"""

from __future__ import annotations

from pathlib import Path

from notebook import Notebook, lines
from said import by_rank


def test_1_04_pxresult_shows_the_last_result_again(nb: Notebook) -> None:
    shown = nb.ok("%px print('again')\n").stdout
    assert nb.ok("%pxresult").stdout == shown == lines("again")
    assert nb.ok("%result").stdout == shown
    assert nb.ok("%pxresult -o kept").stdout == ""
    assert nb.ok("print(len(kept.get()))").stdout == "4\n"
    nb.ok("%%px --noblock\nimport time\ntime.sleep(0.5)\nprint('late')")
    assert nb.ok("%pxresult").stdout == lines("late")
    nb.fails("%px 1/0")
    cell = nb.fails("%pxresult")
    assert cell.reply["content"]["ename"] == "CompositeError"
    assert all(f"[{rank}:execute]: " in cell.error for rank in range(4)), "every engine's own"
    assert nb.ok("for i in [1]:\n    %px print('nested')\n    %pxresult").stdout == 2 * lines("nested")


def test_1_09_and_1_23_a_cell_that_does_not_wait_gives_a_result(nb: Notebook) -> None:
    cell = nb.ok("%%px --noblock\nprint('hi')\n6 * 7")
    assert cell.stdout == "", "its outputs are the result's"
    assert [part["data"]["text/plain"] for part in cell.of_type("execute_result")] == [
        "<AsyncResult(%px): pending>"
    ]
    nb.ok("ar = _")
    assert (
        nb.ok("print([reply.data['text/plain'] for reply in ar.get()])").stdout
        == "['42', '42', '42', '42']\n"
    )
    assert nb.ok(f"print(Out[{cell.count}] is ar)").stdout == "True\n"
    nb.ok("%%px -a\n1/0")
    assert "ZeroDivisionError" in nb.fails("_.get()").error
    nb.ok("other = get_ipython().run_cell_magic('px', '-a', 'i = 1')")
    assert nb.ok("print(len(other.get()))").stdout == "4\n", "a magic that is called returns its value"


def test_1_20_out_names_the_result(nb: Notebook) -> None:
    nb.ok("%%px -o ar -t 1\nprint('kept')")
    assert "kept" in nb.ok("ar.get(); print(ar.stdout)").stdout
    nb.ok("name = 'bound'")
    nb.ok("%%px --out {name}\n5")
    assert nb.ok("print(len(bound.get()))").stdout == "4\n"
    nb.fails("%%px -o failed\n1/0")
    assert "ZeroDivisionError" in nb.fails("failed.get()").error


def test_1_20_a_result_that_is_named_is_done_if_its_cell_was(nb: Notebook) -> None:
    """However much it has to tell: nobody has to wait for what a cell has waited for."""
    state, whole = "print(ar.done(), [len(text) for text in ar.stdout])", f"True {4 * [1_000_001]}\n"
    nb.ok("%%px -o ar\nprint('x' * 1_000_000)")
    assert nb.ok(state).stdout == whole
    assert nb.ok(f"%pxresult -o ar\n{state}").stdout == whole
    nb.ok("import ipyparallel as ipp\nids = ar.msg_ids\ndel ar")
    assert nb.ok(f"ar = ipp.Client().get_result(ids)\n{state}").stdout == whole


def test_1_03_one_engine_gives_no_list(nb: Notebook) -> None:
    """As `rc[1].execute` does; a list of one engine gives a list."""
    nb.ok("%px pass")
    for cell, typed in (
        ("%%px -t 1 -o ar\nprint(2)", "str int ExecuteReply"),
        ("%%px -t -1 -o ar\nprint(2)", "str int ExecuteReply"),
        ("%%px -t [1] -o ar\nprint(2)", "list list list"),
        ("%%px -o ar\nprint(2)", "list list list"),
        ("ar = get_ipython().run_cell_magic('px', '-a -t 1', 'print(2)')", "str int ExecuteReply"),
    ):
        nb.ok(cell)
        names = "ar.get()\nprint(*(type(one).__name__ for one in (ar.stdout, ar.engine_id, ar.get())))"
        assert nb.ok(names).stdout == typed + "\n", cell
    nb.ok("%%px -t 1\nprint(2)")
    assert nb.ok("%pxresult -o ar\nprint(repr(ar.stdout))").stdout == "'2\\n'\n"
    nb.fails("%%px -t 1 -o ar\n1/0")
    raised = nb.ok("try: ar.get()\nexcept Exception as error: print(type(error).__name__)")
    assert raised.stdout == "RemoteError\n"


def test_1_26_a_failed_cell_aborts_those_behind_it(nb: Notebook, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    nb.ok("%px import os, time; b = 1")
    waits = f"while not os.path.exists({str(gate)!r}): time.sleep(0.01)"
    nb.ok(f"%%px --noblock\n{waits}\ntime.sleep(0.5)\n1/0")
    nb.ok("%%px --noblock\nb *= 2")
    gate.touch()
    nb.run("%pxresult")
    assert nb.ok("%px print(b)").stdout == lines("1")


def test_1_06_result_is_pxresult_of_the_set_without_suffix(nb: Notebook) -> None:
    nb.ok("%px print('kept')")
    assert nb.ok("%result").stdout == lines("kept")
    assert nb.ok("if True:\n    %result").stdout == lines("kept")


def test_1_22_a_cell_that_waits_has_no_value(nb: Notebook) -> None:
    assert nb.ok("%px 6*7").of_type("execute_result") == []
    assert nb.ok("print(get_ipython().run_line_magic('px', '6*7'))").stdout.endswith("None\n")
    assert nb.ok("print(get_ipython().run_cell_magic('px', '', 'x = 1'))").stdout == "None\n"
    shown = nb.ok("%px 6*7").results
    assert nb.ok("%pxresult").results == shown


def test_1_24_every_engine_counts_its_own_cells(nb: Notebook) -> None:
    def counts() -> list[int]:
        return [int(line.split()[1]) for line in by_rank(nb.ok(COUNT).stdout).splitlines()]

    before = counts()
    nb.ok("%%px -t 1\npass")
    after = counts()
    assert [late - early for early, late in zip(before, after, strict=True)] == [1, 2, 1, 1]
    nb.ok("%px 'mine'")
    assert nb.ok("%%px -t 1\nprint(In[-2], _)").stdout == "[stdout:1] 'mine' mine\n"


COUNT = "%px print(get_ipython().execution_count)"


def test_1_29_replies_read_like_their_values(nb: Notebook) -> None:
    nb.ok("%%px -o ar\nprint('text') if mpi_rank else 'a' * 50")
    nb.ok("replies = ar.get()")
    name = nb.ok("repr(replies[0])").results[0]
    assert name.startswith('"<ExecuteReply[') and name.endswith('...>"') and "aaaa" in name, name
    cell = nb.ok("replies")
    assert "a" * 50 in cell.results[0] and cell.results[0].count(",") == 3, (
        "an engine without a result is empty"
    )


def test_1_54_execute_is_silent_unless_it_is_asked_not_to_be(nb: Notebook) -> None:
    nb.ok("import ipyparallel as ipp\nview = ipp.Client()[:]")
    before = nb.ok(COUNT).stdout
    nb.ok("ar = view.execute('print(\"said\"); 6 * 7')\nar.wait()")
    assert nb.ok("print(ar.stdout[0], [reply.execute_result for reply in ar.get()])").stdout == (
        "said\n [None, None, None, None]\n"
    )
    now = [int(line.split()[1]) for line in by_rank(nb.ok(COUNT).stdout).splitlines()]
    then = [int(line.split()[1]) for line in by_rank(before).splitlines()]
    assert [late - early for early, late in zip(then, now, strict=True)] == [1, 1, 1, 1], (
        "the counting cell alone"
    )
    nb.ok("ar = view.execute('6 * 7', silent=False)\nar.wait()")
    assert nb.ok("print([reply.execute_result['data']['text/plain'] for reply in ar.get()])").stdout == (
        "['42', '42', '42', '42']\n"
    )
