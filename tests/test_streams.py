"""What local cells write: all of it, in order, and at once."""

from __future__ import annotations

import time
from typing import Any

from notebook import Notebook


def in_turns(cell_messages: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return the streams' pieces in order, neighbours of one name joined."""
    turns: list[tuple[str, str]] = []
    for message in cell_messages:
        if message["msg_type"] == "stream":
            name, text = message["content"]["name"], message["content"]["text"]
            if turns and turns[-1][0] == name:
                turns[-1] = (name, turns[-1][1] + text)
            else:
                turns.append((name, text))
    return turns


def test_the_order_of_stdout_and_stderr_is_kept(nb: Notebook) -> None:
    cell = nb.ok("import sys\nfor i in range(50):\n    print(i)\n    print(i, file=sys.stderr)")
    assert in_turns(cell.messages) == [
        turn for i in range(50) for turn in (("stdout", f"{i}\n"), ("stderr", f"{i}\n"))
    ]


def test_displays_stand_where_they_were_made(nb: Notebook) -> None:
    cell = nb.ok("for i in range(20):\n    print(i)\n    display(i)")
    kinds = [m["msg_type"] for m in cell.messages if m["msg_type"] in ("stream", "display_data")]
    assert kinds == ["stream", "display_data"] * 20


def test_a_million_prints_arrive(nb: Notebook) -> None:
    cell = nb.ok("for i in range(1_000_000):\n    print(i)", timeout=120)
    assert cell.stdout == "".join(f"{i}\n" for i in range(1_000_000))


def test_c_and_children_and_forks_are_captured_in_order(nb: Notebook) -> None:
    code = """
import ctypes, os, subprocess, sys
print("python")
os.system("echo shell")
subprocess.run([sys.executable, "-c", "print('child')"])
libc = ctypes.CDLL(None)
libc.puts(b"c")
pid = os.fork()
if not pid:
    print("fork")
    sys.stdout.flush()
    os._exit(0)
os.waitpid(pid, 0)
print("end")
"""
    cell = nb.ok(code)
    assert cell.stdout == "python\nshell\nchild\nc\nfork\nend\n"


def test_multiprocessing_prints_and_returns(nb: Notebook) -> None:
    cell = nb.ok(
        "import multiprocessing\n"
        "def twice(x):\n    print('in child', x)\n    return 2 * x\n"
        "with multiprocessing.get_context('fork').Pool(2) as pool:\n    results = pool.map(twice, range(3))\n"
        "results",
        timeout=60,
    )
    assert cell.results == ["[0, 2, 4]"]
    assert sorted(cell.stdout.splitlines()) == ["in child 0", "in child 1", "in child 2"]


def test_carriage_returns_pass_through(nb: Notebook) -> None:
    cell = nb.ok("for i in range(3):\n    print(f'\\r{i}', end='', flush=True)\nprint()")
    assert cell.stdout == "\r0\r1\r2\n"


def test_text_before_a_long_c_call_is_seen_during_it(nb: Notebook) -> None:
    """The call holds the GIL: nothing of Python's can send the text."""
    seen: list[float] = []

    def watch(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream":
            seen.append(time.monotonic())

    nb.run("import ctypes\nprint('before')\nctypes.PyDLL(None).sleep(3)", watch=watch)
    assert seen and time.monotonic() - seen[0] > 1, "long before the call's end"


def test_large_and_odd_text(nb: Notebook) -> None:
    assert nb.ok("print('x' * 20_000_000)", timeout=60).stdout == "x" * 20_000_000 + "\n"
    assert nb.ok("print('čšž→🦀\\0')").stdout == "čšž→🦀\0\n"
    # What UTF-8 cannot say is shown some other way, and nothing breaks.
    assert nb.run("print('\\ud800')").status in ("ok", "error")
    assert nb.ok("import os; os.write(1, b'\\xff\\xfe raw\\n'); print('after')").stdout.endswith("after\n")


def test_output_of_threads_and_of_tasks_that_outlive_their_cell(nb: Notebook) -> None:
    cell = nb.ok(
        "import sys, threading\n"
        # Written at once: `print` writes its arguments one by one, and threads may come between.
        "workers = [threading.Thread(target=sys.stdout.write, args=(f'thread {i}\\n',)) for i in range(5)]\n"
        "for worker in workers: worker.start()\n"
        "for worker in workers: worker.join()"
    )
    assert sorted(cell.stdout.splitlines()) == [f"thread {i}" for i in range(5)]
    nb.ok(
        "import asyncio\n"
        "async def later():\n    await asyncio.sleep(0.05)\n    global done\n    done = True\n"
        "done = False\ntask = asyncio.create_task(later())"
    )
    assert nb.ok("await task\ndone").results == ["True"]
