"""The magics' options and sets, row by row of ``ipyparallel-behaviour.md`` §1: each test names its rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from notebook import Cell, Notebook, lines


def usage(cell: Cell) -> str:
    """Return the text of a usage error, which has no traceback."""
    assert cell.reply["content"]["ename"] == "UsageError", cell.error
    return cell.reply["content"]["evalue"]


def displayed(nb: Notebook, code: str) -> list[str]:
    """Return what a cell shows, in order: text of streams, results, displays."""
    cell, shown = nb.ok(code), []
    for message in cell.messages:
        content = message["content"]
        if message["msg_type"] == "stream":
            shown.append(content["text"])
        elif message["msg_type"] == "display_data":
            shown.append(content["data"]["text/plain"].replace("\x1b[0;31m", "").replace("\x1b[0m", ""))
    return shown


@pytest.fixture(autouse=True)
def defaults(nb: Notebook) -> Iterator[None]:
    """Leave the defaults as they were."""
    yield
    nb.ok("%pxconfig --targets all --block --stream --progress-after 2 --no-verbose --no-collapse")


def test_1_01_px_takes_no_options_and_expands_nothing(nb: Notebook) -> None:
    nb.ok("y = 'local'")
    assert nb.ok("%px print('{y} $y', {1: 2})").stdout == lines("{y} $y {1: 2}")
    assert nb.ok("%px").stdout == ""
    assert "Write `%%px` with the options" in usage(nb.fails("%px -t 0 print(1)"))


def test_1_02_the_option_line_of_the_cell_magic_is_expanded(nb: Notebook) -> None:
    nb.ok("one, some = 1, [0, 2]")
    assert nb.ok("%%px -t {one}\nprint('{one}')").stdout == lines("{one}", [1])
    assert nb.ok("%%px --targets $one\nprint('$one')").stdout == lines("$one", [1])
    assert nb.ok("%%px -t {some}\nprint('here')").stdout == lines("here", [0, 2])
    assert nb.ok("%%px -t {0,1}\nprint('here')").stdout == lines("here", [0, 1])
    assert nb.ok("%pxconfig -t {some[0]}\n%px print('here')").stdout == lines("here", [0])


def test_1_05_pxconfig_is_sticky_and_silent(nb: Notebook) -> None:
    cell = nb.ok("%pxconfig --targets ::2")
    assert (cell.stdout, cell.stderr, cell.displays) == ("", "", [])
    assert nb.ok("%pxconfig").stdout == ""
    assert nb.ok("%px print('here')").stdout == lines("here", [0, 2])
    assert nb.ok("%%px -t 1\nprint('here')").stdout == lines("here", [1])
    assert nb.ok("%px print('here')").stdout == lines("here", [0, 2])


def test_1_10_targets_of_one_cell_are_its_own_also_after_an_error(nb: Notebook) -> None:
    nb.fails("%%px -t 1\n1/0")
    assert nb.ok("%px print('here')").stdout == lines("here")


def test_1_11_streamed_output_is_shown_while_the_cell_runs(nb: Notebook) -> None:
    cell = nb.interrupt_when(
        "%%px --stream\nprint('begun')\nimport time\ntime.sleep(60)", "begun", timeout=20
    )
    assert cell.reply["content"]["ename"] == "KeyboardInterrupt"


COLLECTED = """%%px {options}
import sys, os
from IPython.display import display
rank = int(mpi_rank)
print('out', rank)
print('err', rank, file=sys.stderr)
display(f'first {{rank}}')
if rank == 0: display('second 0')
None if rank == 3 else rank * 10
"""


def test_1_12_and_1_17_collected_output_is_grouped_by_type(nb: Notebook) -> None:
    shown = displayed(nb, COLLECTED.format(options="--no-stream -t :3"))
    assert shown[:2] == [
        lines_of("out", "stdout", 3),
        lines_of("err", "stderr", 3),
    ]
    assert shown[2:10] == [
        *("[output:0]", "'first 0'", "[output:0]", "'second 0'"),
        *("[output:1]", "'first 1'", "[output:2]", "'first 2'"),
    ]
    assert [text.split(":")[0] for text in shown[10:]] == ["Out[0", "Out[1", "Out[2"]
    assert [text.split(": ")[1] for text in shown[10:]] == ["0", "10", "20"]


def lines_of(text: str, stream: str, count: int) -> str:
    return "".join(f"[{stream}:{rank}] {text} {rank}\n" for rank in range(count))


@pytest.mark.parametrize("option", ["-e", "--group-outputs engine", "--group-outputs=engine"])
def test_1_18_grouped_by_engine(nb: Notebook, option: str) -> None:
    shown = displayed(nb, COLLECTED.format(options=f"--no-stream -t 1:3 {option}"))
    assert shown[:4] == ["[stdout:1] out 1\n", "[stderr:1] err 1\n", "[output:1]", "'first 1'"]
    assert shown[4].endswith("10") and shown[5:7] == ["[stdout:2] out 2\n", "[stderr:2] err 2\n"]


@pytest.mark.parametrize("option", ["-r", "--group-outputs order"])
def test_1_19_grouped_by_order_loses_no_engine(nb: Notebook, option: str) -> None:
    shown = displayed(nb, COLLECTED.format(options=f"--no-stream -t :2 {option}"))
    assert [text for text in shown[2:] if not text.startswith("[")][:3] == [
        "'first 0'",
        "'first 1'",
        "'second 0'",
    ]


def test_1_17_a_streaming_cell_groups_what_can_wait(nb: Notebook) -> None:
    shown = displayed(nb, COLLECTED.format(options="-e -t :2"))
    outputs = [text for text in shown if not text.startswith("[")]
    assert outputs[:2] == ["'first 0'", "'second 0'"] and outputs[2].startswith("Out[0")
    assert outputs[3] == "'first 1'" and outputs[4].startswith("Out[1")


def test_1_13_progress_after_names_who_still_runs(nb: Notebook) -> None:
    cell = nb.ok("%%px --progress-after 0\nimport time\ntime.sleep(0 if mpi_rank else 1.5)")
    first, *updates = cell.of_type("display_data", "update_display_data")
    assert first["data"]["text/plain"].startswith("%px:   0%|") and "<progress" in first["data"]["text/html"]
    texts = [update["data"]["text/plain"] for update in updates]
    assert any("3/4" in text and text.endswith("engine 0 still runs") for text in texts), texts
    assert texts[-1].startswith("%px: 100%") and "4/4" in texts[-1]
    ids = {part["transient"]["display_id"] for part in [first, *updates]}
    assert len(ids) == 1, "one bar, updated in place"


def test_1_13_progress_never_and_not_in_short_cells(nb: Notebook) -> None:
    assert nb.ok("%%px --progress-after -1\nimport time\ntime.sleep(2.5)").displays == []
    assert nb.ok("%px pass").displays == []


def test_1_15_and_1_16_verbose_is_honoured_by_both(nb: Notebook) -> None:
    assert nb.ok("%%px --verbose\npass").stdout == "Parallel execution on engine(s): all\n"
    nb.ok("%pxconfig --verbose")
    assert nb.ok("%px pass").stdout == "Parallel execution on engine(s): all\n"
    assert nb.ok("%%px -t [0, 2]\npass").stdout == "Parallel execution on engine(s): [0, 2]\n"
    assert nb.ok("%%px --no-verbose\npass").stdout == ""
    nb.ok("%pxconfig --no-verbose")
    assert nb.ok("%px pass").stdout == ""


def test_1_21_local_runs_the_cell_here_as_well(nb: Notebook) -> None:
    cell = nb.ok("%%px --local\nwhere = 'here'\nprint('ran')")
    assert cell.stdout == "ran\n" + lines("ran")
    assert nb.ok("print(where)").stdout == "here\n"
    assert nb.ok("%px print(where)").stdout == lines("here")


def test_1_21_local_errors_come_first_and_do_not_stop_the_engines(nb: Notebook) -> None:
    cell = nb.fails("%%px --local\nprint('ran')\nassert 'mpi_rank' in dir()")
    assert cell.stdout == "ran\n" + lines("ran")
    assert "AssertionError" in cell.error
    cell = nb.fails("%%px --local\nimport os\nassert 'mpi_rank' not in dir()")
    assert "engines 0-3" in cell.error and cell.error.count("AssertionError") >= 1


@pytest.mark.parametrize(
    ("line", "expect"),
    [
        ("--badopt", "unrecognized arguments: --badopt"),
        (
            "--group-outputs bad",
            "argument --group-outputs: invalid choice: 'bad' (choose from 'engine', 'order', 'type')",
        ),
        ("-t", "argument -t/--targets: expected one argument"),
        ("-o", "argument -o/--out: expected one argument"),
    ],
)
def test_1_2_wrong_options_are_usage_errors(nb: Notebook, line: str, expect: str) -> None:
    cell = nb.fails(f"%%px {line}\n1")
    assert usage(cell).startswith(expect)
    assert cell.error.count("\n") <= 1, "no traceback"


def test_1_2_an_empty_body_says_what_was_meant(nb: Notebook) -> None:
    expect = "%%px is a cell magic, but the cell body is empty. Did you mean the line magic %px (single %)?"
    assert usage(nb.fails("%%px")) == expect
    assert usage(nb.fails("%%px -t 0\n  \n")) == expect


def test_1_2_prefixes_and_glued_values(nb: Notebook) -> None:
    for options in ("--target 0", "--targets=0", "-t0"):
        assert nb.ok(f"%%px {options}\nprint('here')").stdout == lines("here", [0])


def test_1_2_help_is_made_from_the_table(nb: Notebook) -> None:
    for code in ("%%px?", "%px?"):
        text = nb.ok(code).reply["content"]["payload"][0]["data"]["text/plain"]
        for option in ("--targets", "--noblock", "--group-outputs", "--progress-after", "--collapse"):
            assert option in text
        assert "cell_px" not in text


def test_1_39_nobody_watches() -> None:
    with Notebook(engines=2, environment={"IPP_NONINTERACTIVE": "1"}) as nb:
        nb.ok("%px pass", timeout=120)
        cell = nb.ok("%%px\nimport time\nprint('a')\ntime.sleep(0.4)\nprint('b')")
        assert cell.stdout == "[stdout:0] \na\nb\n[stdout:1] \na\nb\n"
        assert len(cell.of_type("stream")) == 1, "shown once, at the end"


def test_1_40_autopx_says_so_and_the_first_cell_too(nb: Notebook) -> None:
    assert nb.ok("%autopx").stdout == "%autopx enabled\n"
    first, second = nb.ok("x = 1"), nb.ok("x = 2")
    assert "autopx is on" in first.results[0] and "0-3" in first.results[0]
    assert second.results == []
    assert nb.ok("%autopx").stdout == "%autopx disabled\n"


def test_1_43_an_error_in_an_autopx_cell_is_an_error_reply(nb: Notebook) -> None:
    nb.ok("%autopx")
    cell = nb.fails("1/0")
    assert "[engines 0-3] ZeroDivisionError" in cell.error
    nb.ok("%autopx")


def test_1_44_the_rest_of_the_cell_that_switches_off_still_runs(nb: Notebook) -> None:
    nb.ok("%autopx")
    assert nb.ok("%autopx\nprint('local')").stdout == "%autopx disabled\nlocal\n"


def test_1_46_a_cell_with_await_may_be_the_first_in_autopx(nb: Notebook) -> None:
    nb.ok("%autopx")
    code = "import asyncio\nprint(await asyncio.sleep(0, 'awaited'))"
    assert nb.ok(code).stdout == lines("awaited")
    assert nb.ok("print('next')").stdout == lines("next")
    nb.ok("%autopx")


def test_1_46_and_1_56_await_in_px_cells_returns(nb: Notebook) -> None:
    assert nb.ok("%%px\nimport asyncio\nawait asyncio.sleep(0)\nprint('back')").stdout == lines("back")


ACTIVATE = """
import ipyparallel as ipp
rc = ipp.Client()
view = rc.activate({targets}, {suffix!r})
"""


def test_1_07_a_set_with_a_suffix_has_magics_of_its_own(nb: Notebook) -> None:
    nb.ok(ACTIVATE.format(targets="[0, 2]", suffix="_some"))
    assert nb.ok("%px_some print('here')").stdout == lines("here", [0, 2])
    assert nb.ok("%%px_some -t 1\nprint('here')").stdout == lines("here", [1])
    assert nb.ok("%px print('here')").stdout == lines("here")
    nb.ok("%pxconfig_some --verbose -t 3")
    assert nb.ok("%px_some pass").stdout == "Parallel execution on engine(s): 3\n"
    assert nb.ok("%px pass").stdout == ""
    assert nb.ok("for i in [1]:\n    %px_some print('nested')").stdout.endswith(lines("nested", [3]))
    magics = "get_ipython().magics_manager.magics"
    assert nb.ok(f"print({magics}['cell']['px_some'].__self__.view.client is rc)").stdout == "True\n"
    assert (
        nb.ok(f"print('px_some' in {magics}['line'], 'result_some' in {magics}['line'])").stdout
        == "True False\n"
    )


def test_1_07_the_magics_follow_their_view(nb: Notebook) -> None:
    nb.ok(ACTIVATE.format(targets="[0, 2]", suffix="_mine"))
    nb.ok("view.targets = [1]")
    assert nb.ok("%px_mine print('here')").stdout == lines("here", [1])
    nb.ok("dview = rc[:]\ndview.block = True\ndview.activate()\ndview.targets = [1, 3]")
    assert nb.ok("%px print('here')").stdout == lines("here", [1, 3])
    nb.ok("rc.activate()")
    assert nb.ok("%px print('here')").stdout == lines("here")
    assert nb.ok("print(get_ipython().magics_manager.magics['cell']['px'].__self__.view)").stdout == (
        "<DirectView all>\n"
    )


def test_1_45_a_suffixed_autopx_is_switched_off_by_its_own_name(nb: Notebook) -> None:
    nb.ok(ACTIVATE.format(targets="[1]", suffix="_one"))
    assert nb.ok("%autopx_one").stdout == "%autopx_one enabled\n"
    assert nb.ok("print('here')").stdout == lines("here", [1])
    assert nb.ok("%autopx_one\nprint('local')").stdout == "%autopx_one disabled\nlocal\n"
    nb.ok("%autopx_one")
    assert nb.ok("%autopx").stdout == "%autopx_one disabled\n"


def test_1_47_an_interrupt_is_an_error_and_says_what_was_sent(nb: Notebook) -> None:
    cell = nb.interrupt_when("%%px\nprint('begun')\nimport time\ntime.sleep(60)", "begun", timeout=20)
    assert cell.stderr == "Received Keyboard Interrupt. Sending signal SIGINT to engines...\n"
    assert cell.status == "error" and cell.reply["content"]["ename"] == "KeyboardInterrupt"
    assert "engines 0-3" in cell.error


def test_1_52_engines_are_full_shells(nb: Notebook) -> None:
    assert nb.ok("%px !echo hi").stdout == lines("hi")
    code = "%%px\n%matplotlib inline\n%timeit -q -n1 -r1 pass\nprint('magics')"
    assert sorted(nb.ok(code).stdout.splitlines()) == lines("magics").splitlines()
    nb.ok("%px 6*7")
    assert nb.ok("%px print(_, 42 in Out.values())").stdout == lines("42 True")


def test_1_53_names_of_the_mpi_launch(nb: Notebook) -> None:
    assert nb.ok("%px print(mpi_rank, mpi_size, MPI.COMM_WORLD.rank)").stdout == "".join(
        f"[stdout:{rank}] {rank} 4 {rank}\n" for rank in range(4)
    )


SLOW = """import time
def wait():
    time.sleep(60)
if mpi_rank != 2:
    wait()
"""


def test_a_timeout_says_where_each_engine_was(nb: Notebook) -> None:
    cell = nb.run("%%px --timeout 1\n" + SLOW, timeout=20)
    assert cell.reply["content"]["ename"] == "TimeoutError"
    assert "not done after 1 s" in cell.error
    assert "engines 0, 1, 3 in wait at line 3 of the cell: time.sleep(60)" in cell.error
    assert "KeyboardInterrupt" not in cell.error
    assert nb.ok("%%px --timeout 20\nprint('in time')").stdout == lines("in time")


def test_engines_that_wait_for_one_that_failed_are_named(nb: Notebook) -> None:
    def watch(message: dict[str, Any]) -> None:
        if message["msg_type"] == "display_data" and "raised" in str(message["content"]["data"]):
            nb.manager.interrupt_kernel()

    cell = nb.run("%%px\nimport time\nif mpi_rank == 3: 1/0\ntime.sleep(60)", timeout=30, watch=watch)
    note = next(text for text in cell.results if "raised" in text)
    assert note.startswith("engine 3 raised ZeroDivisionError while others still run:\n")
    assert "engines 0-2 at line 3 of the cell: time.sleep(60)" in note and "stop button" in note


def test_pxstack_shows_each_stack_once(nb: Notebook) -> None:
    assert nb.ok("%pxstack").results == ["engines 0-3 idle"]
    nb.ok("%%px --noblock\n" + SLOW)
    stack = nb.ok("%pxstack").results[0]
    assert "engines 0, 1, 3 in wait at line 3 of the cell: time.sleep(60)" in stack
    assert "    called at line 5 of the cell: wait()" in stack
    assert "\nengine 2 " in stack
    assert nb.ok("%pxstack -t 0").results[0].startswith("engine 0 in wait")
    nb.ok("%engines restart", timeout=120)
    nb.ok("%px pass", timeout=120)


def test_stats_show_what_each_engine_used(nb: Notebook) -> None:
    cell = nb.ok("%%px --stats\nimport time\ntime.sleep(0.2 if mpi_rank == 1 else 0)\nprint('x' * 5000)")
    table = cell.displays[-1]
    assert table["image/svg+xml"].startswith("<svg")
    rows = {row[:11].strip(): row for row in table["text/plain"].splitlines()}
    assert rows["wall time"].endswith("engine 1") and "4.9 KiB" in rows["output"]
    assert "MiB" in rows["peak memory"] and "imbalance" in table["text/plain"]


def test_collapsed_output_is_shown_once(nb: Notebook) -> None:
    assert nb.ok("%%px --collapse\nprint('hi')").stdout == "[stdout:0-3] hi\n"
    cell = nb.ok("%%px --collapse\nprint('odd' if mpi_rank % 2 else 'even')\n6 * 7")
    assert cell.stdout == "[stdout:0, 2] even\n[stdout:1, 3] odd\n"
    assert (
        len(cell.results) == 1 and cell.results[0].startswith("Out[0-3") and cell.results[0].endswith(": 42")
    )
    nb.ok("%pxconfig --collapse")
    assert nb.ok("%px print('hi')").stdout == "[stdout:0-3] hi\n"
    assert nb.ok("%%px --no-collapse\nprint('hi')").stdout == lines("hi")
    slow = "import time\nfor i in range(3):\n    print(i)\n    time.sleep(0.3)"
    assert nb.ok("%%px --collapse\n" + slow).stdout.count("[stdout:0-3]") >= 1


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


def test_1_2_pxresult_before_any_run(nb: Notebook) -> None:
    nb.ok(ACTIVATE.format(targets="[0]", suffix="_new"))
    expect = "%pxresult_new recalls last %px_new result, which has not yet been used."
    assert usage(nb.fails("%pxresult_new")) == expect


def test_1_42_autopx_of_a_view_that_does_not_block_shows_nothing(nb: Notebook) -> None:
    nb.ok("%pxconfig --noblock")
    nb.ok("%autopx")
    first = nb.ok("x = 1; print('unseen')")
    assert first.stdout == "" and first.of_type("execute_result") == []
    nb.ok("%autopx")
    assert nb.ok("%pxresult").stdout == lines("unseen")


def test_1_26_a_failed_cell_aborts_those_behind_it(nb: Notebook) -> None:
    nb.ok("%px b = 1")
    nb.ok("%%px --noblock\nimport time\ntime.sleep(0.5)\n1/0")
    nb.ok("%%px --noblock\nb *= 2")
    nb.run("%pxresult")
    assert nb.ok("%px print(b)").stdout == lines("1")


def test_1_14_the_signal_of_an_interrupt(nb: Notebook) -> None:
    code = "%%px --signal-on-interrupt {signal}\nimport time\nprint('begun')\ntime.sleep(2)\nprint('slept')"
    cell = nb.interrupt_when(code.format(signal="0"), "begun", timeout=20)
    assert cell.stderr == "Received Keyboard Interrupt. Sending signal 0 to engines...\n"
    assert cell.reply["content"]["ename"] == "KeyboardInterrupt" and "on after signal 0" in cell.error
    assert nb.ok("%pxresult").stdout.count("slept") == 4
