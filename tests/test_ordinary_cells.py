"""Thirty cells of ordinary work, through nbclient, on this kernel and on ipykernel: the same outputs.

What differs by nature from one run to the next (addresses, process ids, times, random ids) is
replaced by a word before the comparison. And where a cell writes to stdout and stderr in turns,
this kernel keeps the order; ipykernel shows each stream in one piece, so both are compared so.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient

from notebook import ANSI, KERNEL
from scripted import Scripted

CELLS = [
    # numpy
    "import numpy as np\nnp.set_printoptions(precision=4)\na = np.arange(12).reshape(3, 4)\na",
    "a @ a.T, a.mean(axis=0), a.dtype",
    "rng = np.random.default_rng(7)\nrng.normal(size=5)",
    # pandas
    "import pandas as pd\nframe = pd.DataFrame({'x': range(5), 'y': list('abcde')})\nframe",
    "frame.describe()",
    "frame.groupby(frame.x % 2).agg({'x': 'sum', 'y': ''.join})",
    "frame.style.highlight_max(axis=0, subset=['x']).set_uuid('fixed')",
    # matplotlib
    "%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 4, 9]);",
    "figure, axes = plt.subplots(1, 2, figsize=(4, 2))\naxes[0].bar([1, 2], [3, 4])\n"
    "axes[1].imshow(a)\nplt.show()\nprint('after the figure')",
    "%config InlineBackend.figure_formats = ['svg', 'png']\nimport matplotlib\n"
    "matplotlib.rcParams['svg.hashsalt'] = 'fixed'\n"
    "plt.plot([1, 2]);",
    # streams
    "import sys\nprint('out 1')\nprint('err 1', file=sys.stderr)\nprint('out 2')",
    "import os, subprocess\nos.system('echo from a child')\n!echo from a shell",
    "for i in range(5):\n    print(f'\\r{i}', end='')\nprint()",
    # display
    "from IPython.display import HTML, JSON, Markdown, clear_output, display, update_display\n"
    "display(HTML('<b>bold</b>'), Markdown('*m*'), metadata={'text/html': {'k': 1}})",
    "handle = display('first', display_id='fixed-id')\nhandle.update('second')",
    "print('gone')\nclear_output()\nprint('stays')",
    "display({'application/vnd.plotly.v1+json': {'data': [{'y': [1, 2]}], 'layout': {}},\n"
    "         'application/x-unknown': 'anything', 'text/plain': 'a figure'}, raw=True)",
    "class Rich:\n    def _repr_mimebundle_(self, include=None, exclude=None):\n"
    "        return {'text/plain': 'rich', 'text/latex': '$x$'}, {'text/latex': {'n': 2}}\nRich()",
    # widgets
    "import ipywidgets as widgets\nslider = widgets.IntSlider(value=3, max=9)\nmoved = []\n"
    "slider.observe(lambda change: moved.append(change['new']), 'value')\nslider.value = 5\n"
    "print(moved)\nslider",
    "@widgets.interact(n=4)\ndef square(n):\n    print(n, n * n)",
    "out = widgets.Output()\nwith out:\n    print('inside')\n    display('shown inside')\nout.outputs",
    "from tqdm.notebook import tqdm\nsum(tqdm(range(10), disable=None))",
    # errors
    "def inner(depth):\n    return depth / 0\n\ndef outer_call():\n    outer = 'seen'\n    inner(3)\n"
    "outer_call()",
    "frame['missing']",
    "x = = 1",
    "%xmode Minimal\n1/0",
    "import warnings\n%xmode Context\nwarnings.warn('a warning')",
    "raise SystemExit('left')",
    # magics
    "%%time\nvalue = sum(range(1000))",
    "%timeit -n1 -r1 value + 1",
    "%%writefile module_of_test.py\nANSWER = 42",
    "import module_of_test\n%load_ext autoreload\n%autoreload 2\nmodule_of_test.ANSWER",
    "%run -i module_of_test.py\nANSWER",
    "%%bash\necho bash\necho error >&2",
    "%%capture kept\nprint('captured')",
    "kept.stdout",
    "%who_ls ndarray DataFrame",
    "%history -n 1-2",
    "files = !ls *.py\nfiles",
    "import asyncio\nawait asyncio.sleep(0.01)\nprint('awaited')",
    "_, Out[2][2], In[1]",
    "value?",
    "%%html\n<i>html</i>",
    "%precision 2\n3.14159",
]

BY_NATURE = [
    (re.compile(r"0x[0-9a-f]{6,}"), "ADDRESS"),
    (re.compile(r"ipykernel_\d+/\d+"), "CELL-FILE"),
    (re.compile(r"\b\d+(\.\d+)?(e[+-]\d+)? ?(ns|[µμu]s|ms|s)\b"), "TIME"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "ID"),
    (re.compile(r"\d+:\d+<\d+:\d+, *[\d.?]+(it/s|s/it)"), "PACE"),
    (re.compile(r"\d+\.\d+(it/s|s/it)"), "PACE"),
    (re.compile(r"<dc:date>.*?</dc:date>"), "DATE"),
]


def run(kernel: str, folder: Path) -> list[Any]:
    """Run all cells on a kernel and return their outputs."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in CELLS])
    resources = {"metadata": {"path": folder}}
    NotebookClient(book, kernel_name=kernel, timeout=60, allow_errors=True, resources=resources).execute()
    return [
        (cell.execution_count, in_one_piece([plain(part) for part in cell.outputs])) for cell in book.cells
    ]


def in_one_piece(outputs: list[Any]) -> list[Any]:
    """Return outputs with neighbouring stream outputs of one name joined."""
    joined: list[Any] = []
    # The stream outputs since anything else was shown, by name.
    streams: dict[str, Any] = {}
    for output in outputs:
        if output["output_type"] != "stream":
            streams = {}
        elif output["name"] in streams:
            streams[output["name"]]["text"] += output["text"]
            continue
        else:
            streams[output["name"]] = output
        joined.append(output)
    return joined


def plain(value: Any) -> Any:
    """Return an output with what differs by nature replaced."""
    if isinstance(value, dict):
        return {plain(key): plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [plain(part) for part in value]
    if isinstance(value, str):
        value = ANSI.sub("", value)
        for pattern, word in BY_NATURE:
            value = pattern.sub(word, value)
    return value


# Cells that ask, and what a person answers.
ASKING = [
    ("name = input('name? ')\nprint('hello', name)", ["Ada"]),
    ("import getpass\nlen(getpass.getpass('word? '))", ["secret"]),
    ("[input(f'{i}? ') for i in range(3)]", ["a", "b", "c"]),
    ("def f(depth):\n    return depth / 0\nf(3)", []),
    ("%debug", ["p depth + 39", "u", "q"]),
    ("def g(x):\n    import pdb; pdb.set_trace()\n    return 'went on'\nprint(g(5))", ["p x * 2", "c"]),
    ("try:\n    input()\nexcept EOFError:\n    print('the end')", ["\x04"]),
    ("6 * 7", []),
]


def converse(kernel: str) -> list[Any]:
    """Run the cells that ask on a kernel; return the questions and outputs of each."""
    manager, client = start_new_kernel(kernel_name=kernel)
    try:
        scripted = Scripted(client)
        conversation = [scripted.run(code, answers) for code, answers in ASKING]
        return [
            (asked, together([plain(dict(output)) for output in outputs])) for asked, outputs in conversation
        ]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def together(outputs: list[Any]) -> list[Any]:
    """Return outputs with each stream in one piece: where text is cut differs, and so does its place."""
    text = {name: "".join(part["text"] for part in outputs if part.get("name") == name) for name in STREAMS}
    return [text, *(part for part in outputs if part["output_type"] != "stream")]


STREAMS = ("stdout", "stderr")


def test_cells_that_ask_do_as_on_ipykernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARALLEL_PYTHON_ENGINES", "1")
    ours, theirs = converse(KERNEL), converse("python3")
    for (code, _), here, there in zip(ASKING, ours, theirs, strict=True):
        assert here == there, code


def test_ordinary_cells_show_what_ipykernel_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARALLEL_PYTHON_ENGINES", "1")
    # ipykernel does not capture what children write when it finds this.
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    shown = {}
    for kernel in (KERNEL, "python3"):
        folder = tmp_path / "work"
        folder.mkdir()
        shown[kernel] = run(kernel, folder)
        folder.rename(tmp_path / kernel)
    ours, theirs = shown[KERNEL], shown["python3"]
    differences = [
        f"{code}\n  here:      {here}\n  ipykernel: {there}"
        for code, here, there in zip(CELLS, ours, theirs, strict=True)
        if here != there
    ]
    assert not differences, "\n\n".join(differences)
