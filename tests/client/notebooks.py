"""Cells that check themselves: what a user would write, with assertions in the notebook."""

from __future__ import annotations

import textwrap

from notebook import Cell, Notebook

#: How every one of these notebooks begins.
START = """
import ipyparallel as ipp
rc = ipp.Client(profile='mpi')
dview = rc[:]
def raises(kind, text, call, *args, **kwargs):
    import re
    try:
        call(*args, **kwargs)
    except kind as error:
        assert re.search(text, str(error)), f'{text!r} is not in: {error}'
        return error
    raise AssertionError(f'{kind.__name__} was not raised')
"""

#: A gate that engines wait at until the notebook opens it: no test waits for time to pass.
GATE = """
import os, tempfile

class Gate:
    def __init__(self):
        self.path = os.path.join(tempfile.mkdtemp(), 'gate')
        # Kept open both ways: nobody waits to open them, and each who waits takes one byte.
        for path in (self.path, self.path + '-bell'):
            os.mkfifo(path)
        self.pipe, self.bell = (os.open(path, os.O_RDWR) for path in (self.path, self.path + '-bell'))
    def hold(self, view):
        def wait(path):
            open(path + '-bell', 'wb', 0).write(b'x')
            return open(path, 'rb', 0).read(1)
        return view.apply_async(wait, self.path)
    def wait_for(self, readers):
        # Until so many are held.
        for _ in range(readers):
            os.read(self.bell, 1)
    def open(self, readers=1):
        os.write(self.pipe, b'x' * readers)
"""


def check(nb: Notebook, code: str, timeout: float = 60) -> Cell:
    """Run a cell whose assertions must hold."""
    cell = nb.run(textwrap.dedent(code), timeout)
    assert cell.status == "ok", f"{code}\n{cell.error}\n{cell.stdout}{cell.stderr}"
    return cell
