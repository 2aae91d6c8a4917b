"""The demo compares what a reader sees: neither how it was cut into messages nor its colours."""

from __future__ import annotations

import nbformat
from nbformat.v4 import new_code_cell, new_notebook, new_output

from demo import differences
from notebook_text import comparable, readable


def stream(text: str, name: str = "stdout") -> nbformat.NotebookNode:
    return new_output("stream", name=name, text=text)


def display(**data: str) -> nbformat.NotebookNode:
    return new_output("display_data", data={key.replace("_", "/"): value for key, value in data.items()})


def notebook(*outputs: nbformat.NotebookNode) -> nbformat.NotebookNode:
    return new_notebook(cells=[new_code_cell("%px print('hi')", outputs=list(outputs))])


def test_a_stream_cut_differently_is_the_same() -> None:
    whole = [stream("[stdout:0] hi\n[stdout:1] hi\n")]
    cut = [stream("[stdout:0] hi\n[std"), stream("out:1] hi\n")]
    assert comparable(whole) == comparable(cut)


def test_the_order_of_different_outputs_counts() -> None:
    first, second = stream("a\n"), display(text_plain="b")
    assert comparable([first, second]) != comparable([second, first])


def test_stdout_is_not_stderr() -> None:
    assert comparable([stream("a\n")]) != comparable([stream("a\n", "stderr")])


def test_colours_do_not_count() -> None:
    assert comparable([display(text_plain="\x1b[0;31mOut[0:1]: \x1b[0m42")]) == comparable(
        [display(text_plain="Out[0:1]: 42")]
    )


def test_a_missing_final_newline_counts() -> None:
    assert comparable([stream("hi")]) != comparable([stream("hi\n")])


def test_a_rewritten_line_counts_as_its_last_state() -> None:
    assert comparable([stream("10 %\r100 %\n")]) == comparable([stream("100 %\n")])


def test_an_image_counts_by_its_type() -> None:
    one = display(image_png="AAAA", text_plain="<Figure 1>")
    other = display(image_png="BBBB", text_plain="<Figure 2>")
    assert comparable([one]) == comparable([other])
    assert comparable([one]) != comparable([display(text_plain="<Figure 1>")])
    assert readable(one["data"]) == "[image/png] <Figure 1>"


def test_a_difference_names_the_cell_and_shows_both() -> None:
    found = differences(notebook(stream("[stdout:0] hi\n")), notebook(stream("[stdout:0] ho\n")))
    assert len(found) == 1
    lines = found[0].splitlines()
    assert lines[0] == "cell 1, `%px print('hi')`, differs:"
    assert "-    [stdout:0] hi" in lines
    assert "+    [stdout:0] ho" in lines


def test_the_same_outputs_have_no_difference() -> None:
    assert differences(notebook(stream("hi\n")), notebook(stream("hi\n"))) == []
