"""The programs that people run notebooks with, each as it is, on the real kernel.

Each test is one program: local cells and parallel ones, and what that program does beyond running cells.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pexpect

from notebook import ANSI, KERNEL, lines, wait_until_gone
from server import Server

ENVIRONMENT = {
    **os.environ,
    "PARALLEL_PYTHON_ENGINES": "2",
    # `jupyter nbconvert` finds its subcommands on PATH, and a terminal program must not draw.
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    "TERM": "dumb",
}


def command(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a module of Jupyter's to its end."""
    line = [sys.executable, "-m", *words]
    return subprocess.run(
        line, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False
    )


def write_notebook(path: Path, *cells: str | tuple[str, list[str]]) -> None:
    """Write a notebook of code cells; a cell with tags is a pair."""
    spec = {"name": KERNEL, "display_name": "Parallel Python (Rust)", "language": "python"}
    book = nbformat.v4.new_notebook(metadata={"kernelspec": spec})
    for cell in cells:
        code, tags = cell if isinstance(cell, tuple) else (cell, [])
        book.cells.append(nbformat.v4.new_code_cell(code, metadata={"tags": tags} if tags else {}))
    nbformat.write(book, path)


def outputs(path: Path) -> list[str]:
    """Return each cell's text: stdout, then plain results. On stderr is said that a start takes long."""
    book = nbformat.read(path, as_version=4)
    return [
        "".join(
            part.get("text", "") or part.get("data", {}).get("text/plain", "")
            for part in cell.outputs
            if part.get("name") != "stderr"
        )
        for cell in book.cells
    ]


def test_nbconvert_executes_a_notebook(tmp_path: Path) -> None:
    write_notebook(tmp_path / "in.ipynb", "x = 6", "print(x * 7)", "%px print('hi')", "x + 1")
    done = command(
        "nbconvert",
        "--to=notebook",
        "--execute",
        f"--ExecutePreprocessor.kernel_name={KERNEL}",
        "--output=out",
        "in.ipynb",
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert outputs(tmp_path / "out.ipynb") == ["", "42\n", lines("hi", range(2)), "7"]


def test_nbconvert_stops_at_an_error_and_says_which(tmp_path: Path) -> None:
    write_notebook(tmp_path / "in.ipynb", "1/0", "print('not run')")
    done = command(
        "nbconvert",
        "--to=notebook",
        "--execute",
        f"--ExecutePreprocessor.kernel_name={KERNEL}",
        "--output=out",
        "in.ipynb",
        folder=tmp_path,
    )
    assert done.returncode != 0
    assert "ZeroDivisionError: division by zero" in ANSI.sub("", done.stderr)


def test_papermill_runs_a_notebook_with_parameters(tmp_path: Path) -> None:
    write_notebook(
        tmp_path / "in.ipynb", ("n = 1", ["parameters"]), "print('n is', n)", "%px import os; print('engine')"
    )
    done = command("papermill", "in.ipynb", "out.ipynb", "-k", KERNEL, "-p", "n", "5", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    # The parameters that were given stand in a cell of their own.
    assert outputs(tmp_path / "out.ipynb")[-2:] == ["n is 5\n", lines("engine", range(2))]


def test_papermill_shows_the_error_of_a_cell(tmp_path: Path) -> None:
    write_notebook(tmp_path / "in.ipynb", "{}['missing']")
    done = command("papermill", "in.ipynb", "out.ipynb", "-k", KERNEL, folder=tmp_path)
    assert done.returncode != 0
    assert "KeyError: 'missing'" in ANSI.sub("", done.stderr)


def test_jupyter_run_runs_a_script(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys\nprint('out')\nprint('err', file=sys.stderr)\n6*7\n")
    done = command("jupyter", "run", f"--kernel={KERNEL}", str(script), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "out\n" in done.stdout
    assert "err\n" in done.stderr


def test_jupyter_console_is_a_terminal_of_the_kernel(tmp_path: Path) -> None:
    words = ["-m", "jupyter", "console", f"--kernel={KERNEL}", "--simple-prompt"]
    console = pexpect.spawn(
        sys.executable, words, cwd=tmp_path, env=ENVIRONMENT, encoding="utf-8", timeout=60, echo=False
    )
    try:
        console.expect_exact("In [1]:")
        console.sendline("6*7")
        console.expect(r"Out\[1\]: 42")
        console.expect_exact("In [2]:")
        console.sendline("name = input('who? ')")
        console.expect_exact("who?")
        console.sendline("somebody")
        console.expect_exact("In [3]:")
        console.sendline("print('it is', name)")
        console.expect_exact("it is somebody")
        console.expect_exact("In [4]:")
        console.sendline("%px print('hi')")
        for _ in range(2):
            console.expect(r"\[stdout:[01]\] hi")
        console.expect_exact("In [5]:")
        console.sendline("1/0")
        console.expect_exact("ZeroDivisionError")
        console.expect_exact("In [6]:")
        console.sendline("exit")
        console.expect(pexpect.EOF)
    finally:
        console.close(force=True)


def test_jupyter_server_over_websocket(tmp_path: Path) -> None:
    with Server(tmp_path, ENVIRONMENT) as server:
        kernel = server.start_kernel(KERNEL)
        with server.connect(kernel) as channels:
            assert channels.run("print(6*7)").stdout == "42\n"
            assert channels.run("%px print('hi')").stdout == lines("hi", range(2))

            # Interrupted by the button.
            cell = channels.run(
                "import time\nprint('begun', flush=True)\ntime.sleep(600)",
                when=("begun", lambda: server.post(f"kernels/{kernel}/interrupt")),
            )
            assert cell.error == "KeyboardInterrupt"
            assert channels.run("1+1").result == "2"

            # The browser's tab is reloaded while a cell runs: what came meanwhile is there afterwards.
            request = channels.send("print('begun', flush=True); time.sleep(1); print('afterwards')")
            channels.wait_for(request, "begun")
        with server.connect(kernel) as channels:
            cell = channels.collect(request)
            assert "afterwards" in cell.stdout
            assert channels.run("x = 1; x").result == "1"

            # Restarted: variables are gone, engines are there.
            server.post(f"kernels/{kernel}/restart")
        with server.connect(kernel) as channels:
            assert channels.run("x").error == "NameError"
            assert channels.run("%px print('hi')").stdout == lines("hi", range(2))

        # Deleted: nothing is left.
        processes = server.processes_below()
        assert processes
        server.delete(f"kernels/{kernel}")
        assert not wait_until_gone(processes, 15), "processes are left"
