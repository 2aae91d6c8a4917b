"""Run a notebook on the kernel as a user would, print it cell by cell, and compare its outputs.

``make demo`` runs this on ``docs/tutorial.ipynb``. The outputs stored in the notebook are the
reference: text must come out the same (colours aside), images must come out as the same type. The
notebook file is only read, except with ``--update``, by which a maintainer accepts new outputs.

Not for testing faults or timing: `tests/` does that. Exit status 1 means an output differs or the
kernel failed, and the last lines then name the cell.
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from notebook_text import comparable, plain, readable

KERNEL = "Parallel Python (Rust)"
ROOT = Path(__file__).resolve().parent.parent


class Terminal:
    """Prints the notebook's parts as they happen, so that the text alone says what is what.

    Parameters
    ----------
    file : text file
        Where to print; colours are used only if it is a terminal and ``NO_COLOR`` is unset.
    """

    def __init__(self, file: TextIO) -> None:
        self.file = file
        self.colours = file.isatty() and not os.environ.get("NO_COLOR")
        self.at_line_start = True

    def write(self, text: str, colour: str = "") -> None:
        """Print text that may end anywhere in a line."""
        if not text:
            return
        if not self.colours:
            text = plain(text)
        self.file.write(f"\x1b[{colour}m{text}\x1b[0m" if colour and self.colours else text)
        self.file.flush()
        self.at_line_start = text.endswith("\n")

    def line(self, text: str = "", colour: str = "") -> None:
        """Print whole lines, starting on a fresh one."""
        if not self.at_line_start:
            self.write("\n")
        self.write(text + "\n", colour)

    def source(self, count: int, code: str) -> None:
        """Print a code cell, indented under its number as IPython does."""
        label = f"In [{count}]: "
        self.line()
        self.line(label + code.replace("\n", "\n" + " " * len(label)), "32")


class LiveClient(NotebookClient):
    """A notebook client that prints what arrives while a cell still runs.

    Parameters
    ----------
    notebook : NotebookNode
        Executed in place.
    terminal : Terminal
        Where everything is printed.
    """

    def __init__(self, notebook: NotebookNode, terminal: Terminal, **options: Any) -> None:
        super().__init__(notebook, **options)
        self.terminal = terminal

    def process_message(
        self, msg: dict[str, Any], cell: NotebookNode, cell_index: int
    ) -> NotebookNode | None:
        """Print one message of the kernel about a cell, then let nbclient record it."""
        content = msg["content"]
        match msg["msg_type"]:
            case "execute_input":
                self.terminal.source(content["execution_count"], content["code"])
            case "stream":
                self.terminal.write(content["text"])
            case "execute_result":
                self.terminal.line(f"Out[{content['execution_count']}]: {readable(content['data'])}", "31")
            case "display_data":
                self.terminal.line(readable(content["data"]))
            case "error":
                self.terminal.line(
                    "\n".join(content["traceback"]) or f"{content['ename']}: {content['evalue']}"
                )
        return super().process_message(msg, cell, cell_index)


def find_kernel(display_name: str) -> str:
    """Return the name under which the kernel is installed for this Python."""
    specs = KernelSpecManager().get_all_specs()
    for name, spec in sorted(specs.items()):
        # The one that `make` installed beside this Python wins over one in the user's folder.
        if spec["spec"]["display_name"] == display_name and spec["resource_dir"].startswith(sys.prefix):
            return name
    for name, spec in sorted(specs.items()):
        if spec["spec"]["display_name"] == display_name:
            return name
    sys.exit(
        f"no kernel `{display_name}` for {sys.executable}: `make` builds and installs it. "
        f"Installed: {', '.join(sorted(specs)) or 'none'}"
    )


def differences(stored: NotebookNode, now: NotebookNode) -> list[str]:
    """Return one text per code cell whose outputs are not the stored ones: its name and a diff."""
    found = []
    code_cells = [(a, b) for a, b in zip(stored.cells, now.cells, strict=True) if a.cell_type == "code"]
    for number, (before, after) in enumerate(code_cells, start=1):
        expected, got = comparable(before.outputs), comparable(after.outputs)
        if expected == got:
            continue
        first_line = before.source.splitlines()[0] if before.source else "(empty)"
        diff = difflib.unified_diff(expected, got, "stored in the notebook", "shown now", lineterm="")
        found.append("\n".join([f"cell {number}, `{first_line}`, differs:", *diff]))
    return found


def execute(
    notebook: NotebookNode, terminal: Terminal, engines: int, folder: Path, timeout: float
) -> str | None:
    """Run all cells of a notebook in place; return what stopped the run, if something did."""
    client = LiveClient(
        notebook,
        terminal,
        kernel_name=find_kernel(KERNEL),
        timeout=timeout,
        startup_timeout=60,
        allow_errors=True,
        store_widget_state=False,
        record_timing=False,
        extra_arguments=["-n", str(engines)],
        resources={"metadata": {"path": str(folder)}},
    )
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type == "markdown":
                terminal.line()
                terminal.line(cell.source, "2")
            try:
                client.execute_cell(cell, index)
            except CellTimeoutError:
                return f"the run stopped in `{cell.source.splitlines()[0]}`: not done after {timeout:g} s"
            except DeadKernelError as error:
                return f"the run stopped in `{cell.source.splitlines()[0]}`: {error}"
    return None


def keep_outputs(path: Path, notebook: NotebookNode) -> None:
    """Store a run's outputs as the reference, without what differs from run to run."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            output.get("metadata", {}).clear()
    # What the kernel says of its Python differs from machine to machine.
    notebook.metadata.get("language_info", {}).pop("version", None)
    nbformat.write(notebook, path)


def main() -> int:
    """Run, print, compare; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("notebook", nargs="?", type=Path, default=ROOT / "docs" / "tutorial.ipynb")
    parser.add_argument("-n", "--engines", type=int, default=4, help="number of engines (default: 4)")
    parser.add_argument("--timeout", type=float, default=120, metavar="S", help="per cell, in seconds")
    parser.add_argument("--update", action="store_true", help="store the outputs instead of comparing them")
    arguments = parser.parse_args()

    stored = nbformat.read(arguments.notebook, as_version=4)
    now = nbformat.read(arguments.notebook, as_version=4)
    for cell in now.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None

    terminal = Terminal(sys.stdout)
    name = arguments.notebook.name
    terminal.line(f"{name} on `{KERNEL}`, {arguments.engines} engines")
    start = time.monotonic()
    folder = arguments.notebook.resolve().parent
    stopped = execute(now, terminal, arguments.engines, folder, arguments.timeout)
    seconds = time.monotonic() - start
    terminal.line()
    if stopped:
        terminal.line(stopped)
        return 1
    if arguments.update:
        keep_outputs(arguments.notebook, now)
        terminal.line(f"{name}: outputs stored")
        return 0
    found = differences(stored, now)
    for text in found:
        terminal.line(text)
        terminal.line()
    cells = sum(cell.cell_type == "code" for cell in now.cells)
    verdict = f"{len(found)} differ from the stored outputs" if found else "every output as stored"
    terminal.line(f"{name}: {cells} cells in {seconds:.1f} s, {verdict}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
