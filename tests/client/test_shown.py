"""What results have to show and what is known of them, on real engines. Numbers are rows of the reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from notebook import Notebook, lines
from notebooks import START, check

SHOWS = """
import sys
from IPython.display import display
print('out'); print('err', file=sys.stderr)
display({'text/plain': 'first'}, raw=True)
if mpi_rank == 1:
    display({'text/plain': 'second'}, raw=True)
mpi_rank
"""


@pytest.fixture(scope="module", autouse=True)
def start(nb: Notebook) -> None:
    check(nb, START)
    check(nb, f"shows = {SHOWS!r}\nar = dview.execute(shows, silent=False)\nar.wait()")


def test_4_08_everything(nb: Notebook) -> None:
    cell = check(nb, "ar.display_outputs()")
    assert cell.stdout == lines("out") and cell.stderr == lines("err", stream="stderr")
    texts = [text.rpartition(": ")[2] for text in cell.results]
    assert texts == [
        *("[output:0]", "first", "[output:1]", "first", "[output:1]", "second"),
        *("[output:2]", "first", "[output:3]", "first", "0", "1", "2", "3"),
    ]


def test_4_08_results_only(nb: Notebook) -> None:
    cell = check(nb, "ar.display_outputs(result_only=True)")
    assert cell.stdout == cell.stderr == ""
    assert [text.partition(":")[0] for text in cell.results] == [f"Out[{n}" for n in range(4)]


def test_4_08_in_turns(nb: Notebook) -> None:
    cell = check(nb, "ar.display_outputs(groupby='order')")
    texts = [text for text in cell.results if not text.startswith("Out")]
    first = [part for n in range(4) for part in (f"[output:{n}]", "first")]
    assert texts == [*first, "[output:1]", "second"]


def test_4_08_engine_by_engine(nb: Notebook) -> None:
    cell = check(nb, "ar.display_outputs(groupby='engine')")
    shown = [
        message["content"].get("text") or message["content"]["data"]["text/plain"]
        for message in cell.messages
        if message["msg_type"] in ("stream", "display_data")
    ]
    assert shown.index("second") < next(n for n, text in enumerate(shown) if "[output:2]" in text)
    assert cell.stdout == lines("out")


def test_4_09_text_is_shown_while_the_engine_runs(nb: Notebook, tmp_path: Path) -> None:
    """The engine waits after its first line until that line has come to the frontend."""
    gates = [tmp_path / name for name in ("first", "second")]
    for gate in gates:
        check(nb, f"import os; os.mkfifo({str(gate)!r})")
    seen: list[str] = []

    def watch(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream":
            seen.append(message["content"]["text"])
            if gates and "".join(seen).endswith("step\n"):
                gates.pop(0).write_text("go")

    code = "\n".join(f"print('step', flush=True); open({str(gate)!r}).read()" for gate in gates)
    cell = nb.run(
        f"late = rc[2].execute({code + chr(10) + 'print(9)'!r})\nwith late.stream_output():\n    late.get()",
        60,
        watch,
    )
    assert cell.status == "ok" and cell.stdout == "step\nstep\n9\n" and not gates


def test_4_10_keys_of_metadata(nb: Notebook) -> None:
    check(
        nb,
        """
        assert ar.outputs[1][1]['data'] == {'text/plain': 'second'} and len(ar.outputs[0]) == 1
        assert ar.execute_input == [shows] * 4 and ar.error == [None] * 4 and ar.data == [{}] * 4
        failed = rc[:2].apply_async(lambda: 1 / 0)
        failed.wait()
        assert [one.ename for one in failed.error] == ['ZeroDivisionError'] * 2
        assert failed.status == ['error'] * 2
        lview = rc.load_balanced_view()
        with lview.temp_flags(label='mine', after=ar, follow=failed.msg_ids[:0]):
            next_one = lview.apply_async(int)
        next_one.get()
        names = {one.partition('@')[0] for one in ar.msg_ids}
        assert next_one.label == 'mine' and {one.partition('@')[0] for one in next_one.after} == names
        assert next_one.follow == [] and next_one.msg_id == next_one.msg_ids[0]
        """,
    )


def test_4_17_which_of_several_times_counts(nb: Notebook) -> None:
    check(
        nb,
        """
        longest = ar.timedelta(ar.submitted, ar.received)
        assert ar.timedelta(ar.submitted, ar.received, start_key=max, end_key=min) <= longest
        first, last = min(ar.started), max(ar.completed)
        assert ar.timedelta(first, last) == (last - first).total_seconds()
        assert ar.timedelta(ar.started, ar.completed, end_key=lambda times: first) == 0
        """,
    )


def test_4_28_a_reply_shows_itself_as_the_value(nb: Notebook) -> None:
    cell = check(
        nb,
        "rc[1].execute(\"import sys; __import__('IPython').display.HTML('<b>x</b>')\", silent=False).get()",
    )
    (data,) = cell.displays
    assert data["text/html"] == "<b>x</b>" and data["text/plain"].replace("\x1b[0;31m", "").startswith(
        "Out[1:"
    )
    assert check(nb, "rc[1].execute('x = 1', silent=False).get()").displays in ([], [{"text/plain": ""}])


def test_2_13_engines_that_are_not_there_yet(nb: Notebook) -> None:
    cell = check(
        nb,
        """
        pending = rc.wait_for_engines(9, block=False)
        assert not pending.done() and pending.cancel()
        soon = rc.wait_for_engines(9, timeout=0.05, block=False)
        raises(TimeoutError, '9 engines not ready in 0.05 seconds. Currently ready: 4', soon.result, 30)
        assert rc.wait_for_engines(4, interactive=True, widget=False) is None
        cluster = ipp.Cluster(n=4)
        with_cluster = cluster.connect_client_sync()
        assert with_cluster.wait_for_engines() is None
        raises(TypeError, 'n engines to wait for must be specified', rc.wait_for_engines)
        """,
    )
    assert "4/4" in cell.stdout + cell.stderr and "engine" in cell.stdout + cell.stderr
