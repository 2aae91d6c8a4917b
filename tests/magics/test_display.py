"""What cells show: as it comes, and grouped at the end.

Tests are named after their rows of ``ipyparallel-behaviour.md`` §1.
"""

from __future__ import annotations

from typing import Any

import pytest

from notebook import ANSI, Cell, Notebook, lines
from rows import displayed


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


def test_1_39_nobody_watches() -> None:
    with Notebook(engines=2, environment={"IPP_NONINTERACTIVE": "1"}) as nb:
        nb.ok("%px pass", timeout=120)
        cell = nb.ok("%%px\nimport time\nprint('a')\ntime.sleep(0.4)\nprint('b')")
        assert cell.stdout == "[stdout:0] \na\nb\n[stdout:1] \na\nb\n"
        assert len(cell.of_type("stream")) == 1, "shown once, at the end"


def test_1_27_results_name_engine_and_count_and_rich_ones_stand_below_a_label(nb: Notebook) -> None:
    cell = nb.ok("%%px -t 1\nfrom IPython.display import HTML\nHTML('<b>bold</b>')")
    label, result = cell.of_type("display_data")
    assert label["data"] == {"text/plain": "[output:1]"}
    assert result["data"]["text/html"] == "<b>bold</b>"
    assert result["data"]["text/plain"].startswith("\x1b[0;31mOut[1:")
    several = nb.ok("%%px -t 1 --progress-after -1\nimport numpy\nnumpy.eye(2)").results
    assert several[0].split("]: ")[1] == "\narray([[1., 0.],\n       [0., 1.]])", (
        "the first line stands in line"
    )


def test_1_28_metadata_names_the_engine(nb: Notebook) -> None:
    cell = nb.ok("%px 6*7")
    shown = [message for message in cell.messages if message["msg_type"] == "display_data"]
    assert [message["metadata"]["engine"] for message in shown] == [0, 1, 2, 3]


def test_1_30_text_is_labelled_line_by_line_or_as_a_block(nb: Notebook) -> None:
    cell = nb.ok("%%px -t :2\nprint('one')")
    assert cell.stdout == "[stdout:0] one\n[stdout:1] one\n"
    cell = nb.ok("%%px -t :2\nprint('one'); print('two')")
    assert cell.stdout == "[stdout:0] \none\ntwo\n[stdout:1] \none\ntwo\n"
    assert nb.ok("%%px -t 3\nimport sys; print('e', file=sys.stderr)").stderr == "[stderr:3] e\n"


def test_1_31_a_line_that_is_redrawn_is_what_it_is_in_the_end(nb: Notebook) -> None:
    cell = nb.ok("%%px\nfor i in range(3): print('at', i, end='\\r')\nprint('done')")
    assert cell.stdout == lines("done")


def test_1_32_results_and_displays_come_as_they_are_made(nb: Notebook) -> None:
    """The display of a cell that still runs is there; its result comes at its end."""
    seen: list[str] = []

    def watch(message: dict[str, Any]) -> None:
        data = message["content"].get("data", {})
        if "text/plain" in data:
            seen.append(ANSI.sub("", data["text/plain"]))
            if "'shown'" in seen[-1]:
                nb.manager.interrupt_kernel()

    cell = nb.run("%%px -t 2\nimport time\ndisplay('shown')\ntime.sleep(60)\n1", 30, watch)
    assert cell.reply["content"]["ename"] == "KeyboardInterrupt"
    assert seen == ["[output:2]", "'shown'"]
    shown = [message for message in cell.messages if message["msg_type"] == "display_data"]
    assert [message["metadata"]["engine"] for message in shown] == [2, 2]
    results = nb.ok("%%px -t 2\ndisplay('before')\n6 * 7").results
    assert results[1] == "'before'" and results[2].startswith("Out[2:") and results[2].endswith(": 42")


def test_1_33_and_1_34_an_error_is_shown_once(nb: Notebook) -> None:
    cell = nb.fails("%px 1/0")
    assert cell.stderr == "" and cell.error.count("Traceback") == 1
    assert "[engines 0-3] ZeroDivisionError: division by zero" in cell.error
    cell = nb.fails("%%px -t 2\n1/0")
    assert cell.reply["content"]["ename"] == "ZeroDivisionError", "one target raises what was raised"
    assert cell.stderr == "" and cell.error.count("Traceback") == 1
    assert "[engine 2]" in cell.error
    # Different errors are all shown, each with its engines.
    cell = nb.fails("%%px\nif mpi_rank % 2: 1/0\nelse: {}['key']")
    assert "[engines 0, 2] KeyError" in cell.error and "[engines 1, 3] ZeroDivisionError" in cell.error


def test_1_35_updates_and_clear_output_of_engines_arrive(nb: Notebook) -> None:
    code = "%%px -t 1\nhandle = display('old', display_id=True)\nhandle.update('new')"
    (update,) = nb.ok(code).of_type("update_display_data")
    assert update["data"]["text/plain"] == "'new'"
    cell = nb.ok(
        "%%px -t 1\nfrom IPython.display import clear_output\nprint('a')\nclear_output()\nprint('b')"
    )
    assert cell.of_type("clear_output") and cell.stdout.endswith("b\n")


def test_1_36_widgets_of_engines_are_alive(nb: Notebook) -> None:
    """What opens a widget comes out of the engine, what its frontend says goes in."""
    nb.ok("%%px -t 1\nimport ipywidgets\nbox = ipywidgets.IntText(value=3)")
    cell = nb.ok("%%px -t 1\nbox")
    (shown,) = [part for part in cell.displays if "application/vnd.jupyter.widget-view+json" in part]
    comm = shown["application/vnd.jupyter.widget-view+json"]["model_id"]
    data = {"method": "update", "state": {"value": 5}, "buffer_paths": []}
    message = nb.client.session.msg("comm_msg", {"comm_id": comm, "data": data})
    nb.client.shell_channel.send(message)
    assert nb.ok("%%px -t 1\nprint(box.value)").stdout == "[stdout:1] 5\n"


def test_1_38_order_is_kept_between_text_results_and_displays(nb: Notebook) -> None:
    code = "%%px\nprint('one', flush=True)\ndisplay('two')\nprint('three', flush=True)\n4"
    cell = nb.ok(code)
    for rank in range(4):
        at = [next(i for i, text in enumerate(texts(cell)) if part in text) for part in parts(rank)]
        assert at == sorted(at), (rank, texts(cell))


def parts(rank: int) -> list[str]:
    return [f"[stdout:{rank}] one", f"[output:{rank}]", f"[stdout:{rank}] three", f"Out[{rank}:"]


def texts(cell: Cell) -> list[str]:
    """Return all that a cell shows, in order: each stream's text, each display."""
    shown = []
    for message in cell.messages:
        content = message["content"]
        if message["msg_type"] == "stream":
            shown += [line + "\n" for line in content["text"].splitlines()]
        elif message["msg_type"] == "display_data":
            shown.append(ANSI.sub("", content["data"]["text/plain"]))
    return shown
