"""Tasks that any engine may do, without the package on top: who does them, and what becomes of failures."""

from __future__ import annotations

import pytest

from notebook import Notebook
from test_client_link import HELPERS

BALANCED = (
    HELPERS
    + """
def any_engine(name, work, targets=None, retries=0, timeout=None, after=None, follow=None):
    return (name, name, ("any", targets, retries, timeout, after, follow), work)
def on(names, all=True, success=True, failure=False):
    return (names, all, success, failure)
def refusal(name):
    return of(name, "refused")[0][2]
def rank(name):
    return of(name, "done")[-1][2]
"""
)


@pytest.fixture
def balanced(nb: Notebook) -> Notebook:
    """A kernel whose notebook has the helpers."""
    nb.ok(BALANCED)
    return nb


def test_each_task_runs_once(balanced: Notebook) -> None:
    cell = balanced.ok(
        "names = [f'n{i}' for i in range(500)]\n"
        "core.submit([any_engine(name, call(pow, i, 2)) for i, name in enumerate(names)])\n"
        "wait(*names)\n"
        "found = [list(values(name).values()) for name in names]\n"
        "print(found == [[i * i] for i in range(500)], len({rank(name) for name in names}) > 1)",
    )
    assert cell.stdout == "True True\n"


def test_nobody_waits_behind_a_long_task(balanced: Notebook) -> None:
    cell = balanced.ok(
        "core.submit([('long', 'long', [1], call(time.sleep, 20))])\n"
        "names = [f's{i}' for i in range(100)]\n"
        "core.submit([any_engine(name, call(pow, 2, 2)) for name in names])\n"
        "core.submit([any_engine('late', call(time.sleep, 20))])\n"
        "more = [f'm{i}' for i in range(100)]\n"
        "core.submit([any_engine(name, call(pow, 2, 2)) for name in more])\n"
        "wait(*names, *more)\n"
        "print(of('long', 'over'), of('late', 'over'))\n"
        "core.interrupt(['long', 'late'])\n"
        "wait('long', 'late')\n"
        "print(outcomes('long')[1][0])",
        timeout=19,
    )
    assert cell.stdout == "[] []\nKeyboardInterrupt\n"


def test_a_failure_is_tried_on_every_engine_once(balanced: Notebook) -> None:
    cell = balanced.ok(
        "core.submit([any_engine('bad', call(operator.truediv, 1, 0), retries=2),\n"
        "             any_engine('worse', call(operator.truediv, 1, 0), retries=20, targets=[0, 2]),\n"
        "             any_engine('once', ('execute', 'assert mpi_rank == 3', False), retries=3)])\n"
        "wait('bad', 'worse', 'once')\n"
        "for name in 'bad', 'worse', 'once':\n"
        "    print([one[3] if one[3] == 'ok' else one[3][0] for one in of(name, 'done')])"
    )
    assert cell.stdout == "['ZeroDivisionError']\n['ZeroDivisionError']\n['ok']\n"


def test_tasks_wait_for_what_they_depend_on(balanced: Notebook) -> None:
    cell = balanced.ok(
        "core.submit([any_engine('first', call(time.sleep, 0.3)),\n"
        "             any_engine('after', call(time.time), after=on(['first'])),\n"
        "             any_engine('with', call(os.getpid), follow=on(['first', 'after'], all=False)),\n"
        "             any_engine('bad', call(operator.truediv, 1, 0)),\n"
        "             any_engine('never', call(pow, 2, 2), after=on(['bad'])),\n"
        "             any_engine('then', call(pow, 2, 3), after=on(['bad'], success=False, failure=True)),\n"
        "             any_engine('chain', call(pow, 2, 3), after=on(['never'])),\n"
        "             any_engine('wrong', call(pow, 2, 2), after=on(['nobody']))])\n"
        "wait('first', 'after', 'with', 'never', 'then', 'chain', 'wrong')\n"
        "print(values('after')[rank('after')] >= of('first', 'done')[0][6])\n"
        "print(rank('with') in (rank('first'), rank('after')))\n"
        "print(refusal('never'), refusal('chain'), refusal('wrong'), list(values('then').values()))"
    )
    assert cell.stdout == ("True\nTrue\nImpossibleDependency ImpossibleDependency InvalidDependency [8]\n")


def test_what_cannot_begin_in_time_fails(balanced: Notebook) -> None:
    cell = balanced.ok(
        "core.submit([('busy', '', [0], call(time.sleep, 60))])\n"
        "core.submit([any_engine('one', call(time.sleep, 60), targets=[0]),\n"
        "             any_engine('two', call(pow, 2, 2), targets=[0], timeout=0.3)])\n"
        "wait('two')\n"
        "print(refusal('two'))\n"
        "ask('abort', ['one'])\n"
        "core.interrupt(['busy'])\n"
        "wait('one', 'busy')\n"
        "print(outcomes('one'))",
        timeout=50,
    )
    assert cell.stdout == "TaskTimeout\n{0: 'aborted'}\n"


def test_requirements_that_hold_nowhere(balanced: Notebook) -> None:
    cell = balanced.ok(
        "code = 'class UnmetDependency(Exception): pass\\n'\n"
        "here = code + 'if mpi_rank != 2: raise UnmetDependency'\n"
        "core.submit([any_engine('here', ('execute', here, False)),\n"
        "             any_engine('nowhere', ('execute', code + 'raise UnmetDependency', False))])\n"
        "wait('here', 'nowhere')\n"
        "print(outcomes('here'), refusal('nowhere'))"
    )
    assert cell.stdout == "{2: 'ok'} ImpossibleDependency\n"


def test_a_task_survives_the_death_of_its_engine(balanced: Notebook) -> None:
    cell = balanced.ok(
        "kill = 'import os, signal\\nif mpi_rank < 2: os.kill(os.getpid(), signal.SIGKILL)'\n"
        "core.submit([any_engine('tough', ('execute', kill, False), retries=3),\n"
        "             any_engine('weak', call(time.sleep, 0.5))])\n"
        "wait('tough', 'weak')\n"
        "print(list(outcomes('tough').values()))\n"
        "core.submit([any_engine('gone', ('execute', 'import os; os._exit(3)', False))])\n"
        "wait('gone')\n"
        "print('exited with code 3' in of('gone', 'lost')[0][3])",
        timeout=60,
    )
    assert cell.stdout == "['ok']\nTrue\n"


def test_every_task_ends_when_rank_0_dies_among_them(balanced: Notebook) -> None:
    cell = balanced.ok(
        "ask('engines', 'restart', 4)\n"
        "names = [f'z{i}' for i in range(400)]\n"
        "tasks = [any_engine(name, call(pow, 2, 2), retries=1) for name in names]\n"
        "each = [(f'y{i}', '', [1, 2, 3], call(pow, 2, 2)) for i in range(100)]\n"
        "core.submit(tasks[:200] + each[:50])\n"
        "core.submit([('kill', '', [0], ('execute', 'import os; os._exit(3)', False))])\n"
        "core.submit(tasks[200:] + each[50:])\n"
        "wait('kill', *names, *(name for name, *_ in each))\n"
        "lost = [one for one in told if one[0] == 'lost' and one[1] != 'kill']\n"
        "done = sum(bool(of(name, 'done')) for name in names)\n"
        "print(len(of('kill', 'lost')), done + len([one for one in lost if one[1][0] == 'z']))\n"
        "print([one for one in lost if one[1][0] == 'y' and not one[4]][:3])",
        timeout=60,
    )
    assert cell.stdout == "1 400\n[]\n"
