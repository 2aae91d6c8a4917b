"""A process that `multiprocessing` has spawned, whose main module has another name."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

from test_serialize import PYTHON, run

SCRIPT = f"""
import sys
sys.path.insert(0, {str(PYTHON)!r})
import enum, multiprocessing
from parallel_python.serialize import dumps, loads

def helper(): return 41
def work(): return helper() + 1
class Point:
    def __init__(self, x): self.x = x
    def twice(self): return 2 * self.x
class Colour(enum.Enum):
    RED = 1

def child(queue):
    values = work, Point(3), Colour.RED
    data = dumps(values)[0]
    again = loads(data)
    same = type(again[1]) is Point and again[2] is Colour.RED
    queue.put((data, again[0].__module__, same))

if __name__ == '__main__':
    context = multiprocessing.get_context('spawn')
    queue = context.SimpleQueue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    data, module, same = queue.get()
    process.join()
    assert same and module == '__main__', (same, module)
    function, point, colour = loads(data)
    assert type(point) is Point and colour is Colour.RED, 'the same code is the same class'
    sys.stdout.buffer.write(data)
"""


def test_what_a_spawned_process_of_a_script_sends_is_of_main(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    run(
        textwrap.dedent(
            """
            function, point, colour = loads(sys.stdin.buffer.read())
            assert function() == 42 and point.twice() == 6 and colour.name == 'RED'
            assert type(point).__module__ == '__main__'
            """
        ),
        done.stdout,
    )
