"""``%%capture`` and its like have what the parallel magics show."""

from __future__ import annotations

import pytest

from notebook import Notebook

CALLS = {
    "%px": "%px print('hi', mpi_rank)",
    "%%px": "get_ipython().run_cell_magic('px', '', \"print('hi', mpi_rank)\")",
    "--no-stream": "get_ipython().run_cell_magic('px', '--no-stream', \"print('hi', mpi_rank)\")",
    "%pxresult": "%pxresult",
}

OUTPUT = "".join(f"[stdout:{rank}] hi {rank}\n" for rank in range(4))


@pytest.mark.parametrize("how", CALLS)
def test_output_is_captured(nb: Notebook, how: str) -> None:
    nb.ok("%px print('hi', mpi_rank)")
    cell = nb.ok(f"%%capture caught\n{CALLS[how]}")
    assert not cell.stdout and not cell.displays
    assert nb.ok("print(caught.stdout, end='')").stdout == OUTPUT
    assert nb.ok("caught.show()").stdout == OUTPUT


def test_results_and_displays_are_captured(nb: Notebook) -> None:
    cell = nb.ok("%%capture caught\nfrom IPython.display import display, HTML\n%px mpi_rank")
    assert not cell.stdout and not cell.results and not cell.displays
    texts = nb.ok("for one in caught.outputs: print(one.data['text/plain'])").stdout.splitlines()
    assert len(texts) == 4 and texts[3].endswith("3"), texts


def test_standard_output_can_go_elsewhere(nb: Notebook) -> None:
    cell = nb.ok(
        "import contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()) as text:\n"
        "    %px print('hi', mpi_rank)\n"
        "print(len(text.getvalue().splitlines()))\n"
        "%px print('hi', mpi_rank)"
    )
    assert cell.stdout == "4\n" + OUTPUT


def test_a_failure_is_one_and_its_output_is_captured(nb: Notebook) -> None:
    cell = nb.fails(
        "from IPython.utils.capture import capture_output\n"
        "with capture_output() as caught:\n"
        "    %px print('before'); 1 / 0"
    )
    assert "ZeroDivisionError" in cell.error and not cell.stdout
    assert nb.ok("print(caught.stdout)").stdout.count("before") == 4
    assert nb.ok("%px print('after')").stdout.count("after") == 4


def test_a_call_that_waits_in_a_captured_cell_can_be_interrupted(nb: Notebook) -> None:
    code = (
        "from IPython.utils.capture import capture_output\n"
        "print('begun')\n"
        "with capture_output():\n"
        "    %px import time; time.sleep(60)"
    )
    assert "KeyboardInterrupt" in nb.interrupt_when(code, "begun").error
    assert nb.ok("%px 6 * 7").results
