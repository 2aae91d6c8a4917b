"""JupyterLab in Chromium: a notebook run by clicking, as a person does it."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import nbformat
import pytest

from chromium import EXECUTABLE, Page
from notebook import KERNEL
from server import TOKEN, Server

CELLS = [
    "print('local', 6 * 7)",
    "%px print('hi')",
    "import pandas as pd\npd.DataFrame({'x': [1, 2], 'y': ['a', 'b']})",
    "%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.figure(figsize=(3, 1.5)); plt.plot([1, 4, 9]);",
    "import ipywidgets as widgets\n@widgets.interact(n=(0, 9))\ndef show(n=3):\n    print('n is', n)",
    "1/0",
]


@pytest.fixture(autouse=True)
def browser() -> None:
    if EXECUTABLE is None:
        warnings.warn("NO BROWSER: JupyterLab was not looked at (`apt-get install chromium`)", stacklevel=1)
        pytest.skip("no Chromium on this machine")


def shows(cell: int, text: str) -> str:
    """Return the condition that a text is below a cell."""
    areas = f"document.querySelectorAll('.jp-Notebook .jp-CodeCell')[{cell}]"
    return f"{areas}?.querySelector('.jp-Cell-outputArea')?.innerText.includes({text!r})"


def test_a_notebook_is_run_by_clicking(tmp_path: Path) -> None:
    spec = {"name": KERNEL, "display_name": "Parallel Python (Rust)", "language": "python"}
    book = nbformat.v4.new_notebook(metadata={"kernelspec": spec})
    book.cells = [nbformat.v4.new_code_cell(code) for code in CELLS]
    nbformat.write(book, tmp_path / "book.ipynb")
    environment = {**os.environ, "PARALLEL_PYTHON_ENGINES": "2"}
    # Pictures are kept where a person looks for them.
    pictures = Path(os.environ.get("PARALLEL_PYTHON_PICTURES", tmp_path))
    with Server(tmp_path, environment, "jupyterlab") as server, Page(tmp_path) as page:
        page("Page.navigate", url=f"http://{server.address}/lab/tree/book.ipynb?token={TOKEN}")
        page.wait_for("document.querySelectorAll('.jp-Notebook .jp-CodeCell').length >= 6")
        page.click(".jp-Notebook .jp-CodeCell .cm-content")
        # A cell that is run before the kernel has been connected is not run at all.
        page.wait_for("document.querySelector('#jp-main-statusbar')?.innerText.includes('| Idle')")
        for cell in range(len(CELLS)):
            page.press("Enter", modifiers=8)
            if cell == 0:
                page.wait_for(shows(0, "local 42"))
        page.wait_for(shows(1, "[stdout:0] hi"))
        page.wait_for(shows(1, "[stdout:1] hi"))
        page.wait_for(shows(5, "ZeroDivisionError"))
        page.wait_for("document.querySelector('.jp-OutputArea img')?.naturalWidth > 100")
        page.wait_for("document.querySelector('.jp-OutputArea table td')?.innerText == '1'")
        # The slider is moved with the keyboard, and Python is called.
        page.wait_for(shows(4, "n is 3"))
        page.click(".jp-OutputArea .widget-slider .noUi-handle")
        page.press("ArrowRight", code=39)
        page.wait_for(shows(4, "n is 4"))
        page.screenshot(pictures / "lab.png")
        # The bug button is there: the kernel says that it can debug.
        assert page.evaluate(
            "!!document.querySelector('[data-jp-item-name=debugger-icon], .jp-DebuggerBugButton')"
        )
