"""What the tests of the magics have in common."""

from __future__ import annotations

from notebook import Cell, Notebook

ACTIVATE = """
import ipyparallel as ipp
rc = ipp.Client()
view = rc.activate({targets}, {suffix!r})
"""


def usage(cell: Cell) -> str:
    """Return the text of a usage error, which has no traceback."""
    assert cell.reply["content"]["ename"] == "UsageError", cell.error
    return cell.reply["content"]["evalue"]


def displayed(nb: Notebook, code: str) -> list[str]:
    """Return what a cell shows, in order: text of streams, results, displays."""
    cell, shown = nb.ok(code), []
    for message in cell.messages:
        content = message["content"]
        if message["msg_type"] == "stream":
            shown.append(content["text"])
        elif message["msg_type"] == "display_data":
            shown.append(content["data"]["text/plain"].replace("\x1b[0;31m", "").replace("\x1b[0m", ""))
    return shown
