"""The client API's link from the notebook's own Python to the cluster core, without the package on top."""

from __future__ import annotations

from notebook import Notebook

#: Submits pickled calls and gathers what is told until all tasks have ended.
HELPERS = """
import json, os, pickle, tempfile, time, operator
from parallel_python.local import link
core = link().client()
told = []
def call(function, *args, **kwargs):
    out = []
    pickled = pickle.dumps((function, args, kwargs), protocol=5, buffer_callback=out.append)
    return ("apply", pickled, [buffer.raw() for buffer in out])
def wait(*names):
    while not all(of(name, "over", "refused") for name in names):
        told.extend(core.next([]))
def ask(what, *arguments):
    number = ask.last = getattr(ask, "last", 0) + 1
    getattr(core, what)(number, *arguments)
    while True:
        found = None
        for one in core.next([]):
            told.append(one)
            if one[0] in ("answer", "failed") and one[1] == number:
                found = one
        if found:
            return json.loads(found[2]) if found[0] == "answer" else found[2:]
def wait_for(kind, name):
    while not of(name, kind):
        told.extend(core.next([]))
def of(name, *kinds):
    return [one for one in told if one[0] in kinds and one[1] == name]
def values(name):
    return {one[2]: pickle.loads(one[3], buffers=one[4]) for one in sorted(of(name, "value"))}
def gate():
    path = os.path.join(tempfile.mkdtemp(), "gate")
    os.mkfifo(path)
    return path
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
        "place = (os.getpid(), memory, os.fstat(memory).st_ino, 256, len(data) - 256)\n"
        "core.submit([('t5', 'crc', [0, 1, 2, 3], ('apply', pickled, [place]))])\n"
        "wait('t5')\n"
        "print(set(values('t5').values()) == {zlib.crc32(data[256:])}, len(values('t5')))"
    )
    assert cell.stdout == "True 4\n"


def test_shared_memory_that_is_gone_is_an_error(nb: Notebook) -> None:
    nb.ok(HELPERS)
    cell = nb.ok(
        "core.submit([('t6', 'len', [0], ('apply', b'', [(os.getpid(), 999, 0, 0, 1)]))])\n"
        "wait('t6')\n"
        "print(of('t6', 'refused')[0][2:])"
    )
    assert cell.stdout.startswith("('EngineError', 'the data of process ")


def test_what_has_not_begun_is_taken_back(nb: Notebook) -> None:
    nb.ok(HELPERS)
    cell = nb.ok(
        "closed = gate()\n"
        "core.submit([('a1', 'open', [0], call(os.open, closed, os.O_RDONLY)),\n"
        "             ('a2', 'pow', [0, 1], call(pow, 2, 2))])\n"
        "wait_for('done', 'a2')\n"
        "queues = ask('query', 'queues', [])['engines']\n"
        "print(queues['0']['queue'], queues['1']['queue'])\n"
        "print(ask('abort', ['a2', 'a1']))\n"
        "wait('a2')\n"
        "print(outcomes('a2'), values('a2'))\n"
        "os.open(closed, os.O_WRONLY)\n"
        "wait('a1')\n"
        "print(outcomes('a1'))"
    )
    assert cell.stdout == ("['a1', 'a2'] []\nNone\n{0: 'aborted', 1: 'ok'} {1: 4}\n{0: 'ok'}\n")


def test_a_task_is_interrupted_and_the_one_behind_it_taken_back(nb: Notebook) -> None:
    nb.ok(HELPERS)
    cell = nb.ok(
        "code = 'print(1); import time; time.sleep(60)'\n"
        "core.submit([('i1', 'sleep', [2], ('execute', code, False)), ('i2', 'pow', [2], call(pow, 2, 2))])\n"
        "wait_for('stream', 'i1')\n"
        "core.interrupt(['i2', 'i1'])\n"
        "wait('i1', 'i2')\n"
        "print(outcomes('i1')[2][0], outcomes('i2'))",
        timeout=30,
    )
    assert cell.stdout == "KeyboardInterrupt {2: 'aborted'}\n"


def test_a_failed_cell_aborts_the_cells_behind_it(nb: Notebook) -> None:
    nb.ok(HELPERS)
    cell = nb.ok(
        "code = 'import time; print(1); time.sleep(0.5); 1/0'\n"
        "core.submit([('f1', '', [1], ('execute', code, True)),\n"
        "             ('f2', '', [1], ('execute', 'x_aborted = 1', True)),\n"
        "             ('f3', '', [1], call(pow, 2, 2))])\n"
        "wait('f1', 'f2', 'f3')\n"
        "print(outcomes('f1')[1][0], outcomes('f2'), values('f3'))"
    )
    assert cell.stdout == "ZeroDivisionError {1: 'aborted'} {1: 4}\n"


def test_tasks_are_recalled_with_all_that_happened(nb: Notebook) -> None:
    nb.ok(HELPERS)
    nb.ok("%px print('from px')")
    cell = nb.ok(
        "core.submit([('r1', 'pow', [3], call(pow, 2, 5))])\n"
        "wait('r1')\n"
        "told.clear()\n"
        "records = ask('query', 'records', [])\n"
        "px = [one for one in records if one['code'] == \"print('from px')\"][-1]\n"
        "print(px['name'][:3], px['method'], px['targets'], px['parts']['2']['status'],\n"
        "      px['submitted'] > 1e9)\n"
        "found = ask('recall', ['r1', px['name'], 'nobody'])\n"
        "wait('r1', px['name'])\n"
        "print(sorted(one['name'][:2] for one in found), values('r1'))\n"
        "print(sorted(one[3:] for one in of(px['name'], 'stream')), [one[0] for one in told][0])"
    )
    assert cell.stdout == (
        "px_ execute [0, 1, 2, 3] ok True\n['px', 'r1'] {3: 32}\n"
        f"{[('stdout', 'from px' + chr(10))] * 4} answer\n"
    )


def test_signals_and_stacks(nb: Notebook) -> None:
    nb.ok(HELPERS)
    cell = nb.ok(
        "core.submit([('s1', 'sleep', [1], call(time.sleep, 60))])\n"
        "while 'operations' not in (stacks := ask('query', 'stacks', [0, 1]))['1']['threads']: pass\n"
        "print(sorted(stacks))\n"
        # Who is late with its answer is missing.
        "while not all((status := ask('query', 'status', [])).get(rank, {}).get('status')\n"
        "              for rank in '0123'): pass\n"
        "print([status[rank]['status']['resident'] > 0 for rank in '0123'],\n"
        "      [(status[rank]['runs'] or {}).get('label') for rank in '0123'])\n"
        "print(ask('signal', [1, 7], 15)[0])\n"
        "print(ask('signal', [1], 2))\n"
        "wait('s1')\n"
        "print(outcomes('s1')[1][0])"
    )
    assert cell.stdout == (
        "['0', '1']\n[True, True, True, True] [None, 'sleep', None, None]\n"
        "EngineError\nNone\nKeyboardInterrupt\n"
    )


def test_an_engine_that_dies_loses_its_tasks_alone(nb: Notebook) -> None:
    nb.ok(HELPERS)
    cell = nb.ok(
        "closed = gate()\n"
        "core.submit([('d1', 'open', [1, 2], call(os.open, closed, os.O_RDONLY)),\n"
        "             ('d2', 'pow', [1], call(pow, 2, 2))])\n"
        "while not ask('query', 'queues', [])['engines']['1']['queue']: pass\n"
        "ask('signal', [1], 9)\n"
        "wait_for('lost', 'd1')\n"
        "os.open(closed, os.O_WRONLY)\n"
        "wait('d1', 'd2')\n"
        "print(outcomes('d1'), of('d1', 'lost')[0][2], 'SIGKILL' in of('d1', 'lost')[0][3])\n"
        "core.submit([('d3', 'pow', [0, 1, 2], call(pow, 2, 3))])\n"
        "wait('d3')\n"
        "print(values('d3'), of('d3', 'lost')[0][2:])"
    )
    assert cell.stdout.startswith("{2: 'ok'} 1 True\n{0: 8, 2: 8} (1, 'engine 1 on "), cell.stdout


def test_engines_are_restarted_by_a_client(nb: Notebook) -> None:
    nb.ok(HELPERS)
    cell = nb.ok(
        "core.open()\n"
        "core.submit([('e1', 'sleep', [0], call(time.sleep, 60))])\n"
        "print(ask('engines', 'restart', 2))\n"
        "wait('e1')\n"
        "print(of('e1', 'lost')[0][3])\n"
        "print([len(one[3]) for one in told if one[0] == 'engines' and one[1] == 'up'])\n"
        "print(ask('engines', 'stop', None))\n"
        "core.submit([('e2', 'pow', [0], call(pow, 2, 2))])\n"
        "wait('e2')\n"
        "print(values('e2'))",
        timeout=120,
    )
    assert cell.stdout == "None\nthe engines were stopped\n[4, 2]\nNone\n{0: 4}\n"
