"""What the parallel magics show in JupyterLab, as a person sees it."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat

from chromium import Page
from notebook import KERNEL
from server import TOKEN, Server
from test_lab import browser, shows  # noqa: F401  the fixture skips where there is no browser

PLOTS = """%%px --progress-after -1
%matplotlib inline
import matplotlib.pyplot as plt
plt.figure(figsize=(2.4, 0.8))
plt.plot([0, 1, 2], [0, mpi_rank, 4])
plt.show()
"""

STUCK = """%%px --timeout 2
import time
def solve():
    MPI.COMM_WORLD.barrier() if mpi_rank > 9 else time.sleep(60)
def read_input():
    time.sleep(60)
read_input() if mpi_rank == 3 else solve()
"""

FAILING = """%%px
def check(x):
    assert x < 2, 'too large'
if mpi_rank < 3: check(5)
1/0
"""

COLLAPSED = """%%px --collapse --no-stream
print('hi')
'odd' if mpi_rank % 2 else 'even'
"""

#: Cell, and what is below it when it is done.
CELLS = [
    (PLOTS, "[output:3]"),
    (COLLAPSED, "[stdout:0-3] hi"),
    ("%%px --progress-after 0\nimport time\ntime.sleep(1 if mpi_rank else 15)", "engine 0 still runs"),
    ("%%px --noblock\nimport time\ndef wait(): time.sleep(20)\nwait() if mpi_rank else None", "AsyncResult"),
    ("%pxstack\n%engines interrupt", "wait at line"),
    ("%%px --stats\nsum(i * i for i in range(300_000 * (mpi_rank + 1)))", "Out[3"),
    (STUCK, "TimeoutError"),
    (FAILING, "ZeroDivisionError"),
    ("%engines restart -n 16\n%px print('up')", "[stdout:15] up"),
    (COLLAPSED, "[stdout:0-15] hi"),
]


def test_what_the_magics_show(tmp_path: Path) -> None:
    spec = {"name": KERNEL, "display_name": "Parallel Python (Rust)", "language": "python"}
    book = nbformat.v4.new_notebook(metadata={"kernelspec": spec})
    book.cells = [nbformat.v4.new_code_cell(code) for code, _ in CELLS]
    nbformat.write(book, tmp_path / "book.ipynb")
    environment = {**os.environ, "PARALLEL_PYTHON_ENGINES": "4"}
    pictures = Path(os.environ.get("PARALLEL_PYTHON_PICTURES", tmp_path))
    with Server(tmp_path, environment, "jupyterlab") as server, Page(tmp_path) as page:
        page("Page.navigate", url=f"http://{server.address}/lab/tree/book.ipynb?token={TOKEN}")
        page.wait_for("document.querySelectorAll('.jp-Notebook .jp-CodeCell').length >= 4")
        page.click(".jp-Notebook .jp-CodeCell .cm-content")
        page.wait_for("document.querySelector('#jp-main-statusbar')?.innerText.includes('| Idle')")
        for cell, (_, text) in enumerate(CELLS):
            page.press("Enter", modifiers=8)
            page.wait_for(shows(cell, text), timeout=90)
            page.screenshot(pictures / f"magics-{cell}.png")
