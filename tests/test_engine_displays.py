"""Displays of several engines: their own names, in place, cleared one by one, in the order of the ranks."""

from __future__ import annotations

from typing import Any

from notebook import Cell, Notebook, lines


class Page:
    """What a frontend shows below a cell after its displays were updated: one text per output, in order."""

    def __init__(self) -> None:
        self.outputs: list[dict[str, Any]] = []
        self.named: dict[str, list[dict[str, Any]]] = {}

    def take(self, cell: Cell) -> list[str]:
        for message in cell.messages:
            content = message["content"]
            name = content.get("transient", {}).get("display_id")
            if message["msg_type"] == "stream":
                if self.outputs and self.outputs[-1].get("stream") == content["name"]:
                    self.outputs[-1]["text/plain"] += content["text"]
                else:
                    self.outputs.append({"stream": content["name"], "text/plain": content["text"]})
            elif message["msg_type"] == "display_data":
                self.outputs.append(dict(content["data"]))
                if name:
                    self.named.setdefault(name, []).append(self.outputs[-1])
            elif message["msg_type"] == "update_display_data":
                for output in self.named.get(name, []):
                    output.clear()
                    output.update(content["data"])
        return self.texts()

    def texts(self) -> list[str]:
        return [output.get("text/html", output.get("text/plain", "")) for output in self.outputs]


def shown(cell: Cell) -> list[str]:
    return [text for text in Page().take(cell) if text]


def test_a_display_is_updated_on_its_own_engine_in_a_later_cell(nb: Notebook) -> None:
    page = Page()
    page.take(nb.ok("%%px\nhandle = display(f'first {mpi_rank}', display_id='name')"))
    texts = page.take(nb.ok("%%px -t 1,3\nhandle.update(f'second {mpi_rank}')"))
    states = [text for text in texts if "first" in text or "second" in text]
    assert states == ["'first 0'", "'second 1'", "'first 2'", "'second 3'"]
    page.take(
        nb.ok("%%px -t 2\nfrom IPython.display import update_display\nupdate_display(3, display_id='name')")
    )
    assert "3" in page.texts()
    ids = list(page.named)
    assert len(set(ids)) == len(ids)


def test_every_display_stands_behind_its_label_in_the_order_of_the_ranks(nb: Notebook) -> None:
    """The first engine is the last to show something."""
    code = """%%px
import time
from IPython.display import HTML
from mpi4py import MPI
if mpi_rank == 0:
    MPI.COMM_WORLD.recv(source=3)
display(HTML(f'<b>{mpi_rank}</b>'))
if mpi_rank == 3:
    MPI.COMM_WORLD.send(None, dest=0)
"""
    expected = [text for rank in range(4) for text in (f"[output:{rank}]", f"<b>{rank}</b>")]
    assert shown(nb.ok(code)) == expected


def test_one_engine_among_several_clears_only_its_own(nb: Notebook) -> None:
    code = """%%px
from IPython.display import HTML, clear_output
display(HTML(f'<i>old {mpi_rank}</i>'))
MPI.COMM_WORLD.Barrier()
if mpi_rank == 1:
    for step in range(3):
        clear_output(wait=True)
        display(HTML(f'<i>new {step}</i>'))
        print('step', step)
"""
    cell = nb.ok(code)
    assert not cell.of_type("clear_output")
    texts = shown(cell)
    assert [text for text in texts if text.startswith("<i>")] == [
        "<i>old 0</i>",
        "<i>new 2</i>",
        "<i>old 2</i>",
        "<i>old 3</i>",
    ]
    assert [text for text in texts if "step" in text] == ["[stdout:1] step 2\n"]
    assert texts.count("[output:1]") == 1


def test_a_single_target_clears_its_cell(nb: Notebook) -> None:
    cell = nb.ok(
        "%%px -t 2\nfrom IPython.display import clear_output\nprint('a'); clear_output(True); print('b')"
    )
    assert cell.of_type("clear_output") == [{"wait": True}]
    assert "[stdout:2] b" in cell.stdout


def test_a_bar_of_each_engine_is_drawn_in_place(nb: Notebook) -> None:
    code = """%%px
import sys, time
from tqdm import tqdm
for step in tqdm(range(8), desc=f'rank {mpi_rank}', mininterval=0):
    time.sleep(0.2)
print('done')
"""
    cell = nb.ok(code)
    texts = shown(cell)
    bars = [text for text in texts if "rank" in text]
    assert len(bars) == 4, bars
    for rank, bar in enumerate(sorted(bars)):
        assert bar.startswith(f"[stderr:{rank}] rank {rank}: 100%") and bar.count("\n") <= 1
    assert sorted("".join(texts).split("\n")).count("[stdout:0] done") == 1
    assert cell.stderr == ""


def test_a_short_bar_is_a_line_of_text(nb: Notebook) -> None:
    cell = nb.ok("%%px\nimport sys\nfor n in range(9): sys.stdout.write(f'\\r{n}')\nprint()")
    assert cell.stdout == lines("8")
