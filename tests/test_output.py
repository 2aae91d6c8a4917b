"""Output is complete and in order, however much of it there is."""

from __future__ import annotations

from notebook import Notebook, lines


def test_two_thousand_cells_show_every_line_in_order(nb: Notebook) -> None:
    requests = [nb.send("%px print('hi')") for _ in range(2000)]
    wrong = [
        cell.stdout
        for cell in (nb.collect(request, timeout=120) for request in requests)
        if cell.stdout != lines("hi")
    ]
    assert not wrong, f"{len(wrong)} of 2000 cells: {wrong[:3]}"


def test_a_thousand_flushed_lines_of_each_engine_arrive_once(nb: Notebook) -> None:
    cell = nb.ok("%%px\nfor i in range(1000):\n    print('line', i, flush=True)", timeout=120)
    shown = cell.stdout.splitlines()
    for rank in range(4):
        assert _of(rank, shown) == [f"line {i}" for i in range(1000)]
    written = 4 * sum(len(f"line {i}\n") for i in range(1000))
    on_the_wire = sum(len(part["text"]) for part in cell.of_type("stream"))
    assert on_the_wire <= 3 * written, "bytes on the wire are linear in what was written"


def _of(rank: int, shown: list[str]) -> list[str]:
    """Return one engine's lines; a block of several lines stands below its label."""
    found, current = [], None
    for line in shown:
        if line.startswith("[stdout:"):
            label, _, text = line.partition("] ")
            current = int(label.removeprefix("[stdout:"))
            if not text:
                continue
            line = text
        if current == rank:
            found.append(line)
    return found


def test_stdout_and_stderr_stay_apart(nb: Notebook) -> None:
    cell = nb.ok("%%px -t 0\nimport sys\nprint('out')\nprint('err', file=sys.stderr)")
    assert (cell.stdout, cell.stderr) == ("[stdout:0] out\n", "[stderr:0] err\n")


def test_output_of_a_running_cell_is_shown_before_it_ends(nb: Notebook) -> None:
    cell = nb.interrupt_when("%%px -t 0\nprint('begun')\nimport time\ntime.sleep(60)", "begun", timeout=20)
    assert cell.status == "error" and cell.reply["content"]["ename"] == "KeyboardInterrupt"
    assert nb.ok("%px print('next')").stdout == lines("next")


def test_text_of_c_and_of_children_is_captured(nb: Notebook) -> None:
    code = """%%px -t 1
import ctypes, os, subprocess, sys
print("python")
os.system("echo shell")
subprocess.run([sys.executable, "-c", "print('child')"])
libc = ctypes.CDLL(None)
libc.puts(b"c")
libc.fflush(None)
os.write(2, b"raw\\n")
"""
    cell = nb.ok(code)
    assert _of(1, cell.stdout.splitlines()) == ["python", "shell", "child", "c"]
    assert cell.stderr == "[stderr:1] raw\n"


def test_unicode_and_large_text_survive(nb: Notebook) -> None:
    assert nb.ok("%px print('čšž→🦀')").stdout == lines("čšž→🦀")
    cell = nb.ok("%%px -t 2\nprint('x' * 3_000_000)", timeout=60)
    assert cell.stdout == "[stdout:2] " + "x" * 3_000_000 + "\n"
