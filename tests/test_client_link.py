"""The client API's link from the notebook's own Python to the cluster core, without the package on top."""

from __future__ import annotations

from notebook import Notebook

#: Submits pickled calls and gathers what is told until all tasks have ended.
HELPERS = """
import os, pickle, time, operator
from parallel_python.local import link
core = link().client()
told = []
def call(function, *args, **kwargs):
    out = []
    pickled = pickle.dumps((function, args, kwargs), protocol=5, buffer_callback=out.append)
    return ("apply", pickled, [buffer.raw() for buffer in out])
def wait(*names):
    left = set(names)
    while left:
        for one in core.next():
            told.append(one)
            if one[0] in ("over", "refused"):
                left.discard(one[1])
def of(name, *kinds):
    return [one for one in told if one[0] in kinds and one[1] == name]
def values(name):
    return {one[2]: pickle.loads(one[3], buffers=one[4]) for one in sorted(of(name, "value"))}
def outcomes(name):
    return {one[2]: one[3] for one in sorted(of(name, "done"))}
"""


def test_a_call_runs_on_each_target(nb: Notebook) -> None:
    nb.ok(HELPERS)
    cell = nb.ok(
        "core.open()\n"
        "core.submit([('t1', 'pow', [0, 2, 3], call(pow, 2, 10)), ('t2', 'getpid', [1], call(os.getpid))])\n"
        "wait('t1', 't2')\n"
        "print(values('t1'), outcomes('t1'))\n"
        "print(values('t2') == {1: [one for one in told if one[0] == 'engines'][-1][3][1][2]})\n"
        "print([one[0] for one in told if one[1] == 't2'])"
    )
    assert cell.stdout == (
        "{0: 1024, 2: 1024, 3: 1024} {0: 'ok', 2: 'ok', 3: 'ok'}\nTrue\n['value', 'done', 'over']\n"
    )


def test_what_a_call_raises_is_told(nb: Notebook) -> None:
    nb.ok(HELPERS)
    cell = nb.ok(
        "core.submit([('t3', 'div', [1], call(operator.truediv, 1, 0))])\n"
        "wait('t3')\n"
        "print(outcomes('t3')[1][:2], of('t3', 'value'))"
    )
    assert cell.stdout == "('ZeroDivisionError', 'division by zero') []\n"


def test_a_target_that_does_not_exist_is_refused(nb: Notebook) -> None:
    nb.ok(HELPERS)
    cell = nb.ok(
        "core.submit([('t4', 'pow', [0, 9], call(pow, 2, 2))])\n"
        "wait('t4')\n"
        "print(of('t4', 'refused'), len(told))"
    )
    assert cell.stdout == "[('refused', 't4', 'NoEnginesRegistered', 'there is no engine 9')] 1\n"


def test_large_buffers_travel_in_shared_memory(nb: Notebook) -> None:
    nb.ok(HELPERS)
    cell = nb.ok(
        "import zlib\n"
        "data = bytes(range(256)) * 4096\n"
        "memory = os.memfd_create('data')\n"
        "os.write(memory, data)\n"
        "pickled = call(zlib.crc32, pickle.PickleBuffer(data))[1]\n"
        "place = (os.getpid(), memory, 256, len(data) - 256)\n"
        "core.submit([('t5', 'crc', [0, 1, 2, 3], ('apply', pickled, [place]))])\n"
        "wait('t5')\n"
        "print(set(values('t5').values()) == {zlib.crc32(data[256:])}, len(values('t5')))"
    )
    assert cell.stdout == "True 4\n"


def test_shared_memory_that_is_gone_is_an_error(nb: Notebook) -> None:
    nb.ok(HELPERS)
    cell = nb.ok(
        "core.submit([('t6', 'len', [0], ('apply', b'', [(os.getpid(), 999, 0, 1)]))])\n"
        "wait('t6')\n"
        "print(of('t6', 'refused')[0][2:])"
    )
    assert cell.stdout.startswith("('EngineError', 'the data of process ")
