"""`AsyncResult` and errors on real engines. Numbers are rows of the reference."""

from __future__ import annotations

import pytest

from notebook import Notebook, lines
from notebooks import GATE, START, check

HELPERS = """
import concurrent.futures, threading, time
from datetime import datetime
def fails_on(engine):
    if mpi_rank == engine:
        raise ValueError(f'engine {engine}')
    return mpi_rank
"""


@pytest.fixture(scope="module", autouse=True)
def start(nb: Notebook) -> None:
    check(nb, START + GATE)
    check(nb, HELPERS)


def test_4_01_get(nb: Notebook) -> None:
    check(
        nb,
        """
        gate = Gate(); ar = gate.hold(dview)
        assert repr(ar) == '<AsyncResult(wait): pending>'
        raises(TimeoutError, '^Result not ready\\\\.$', ar.get, 0)
        gate.open(4)
        assert ar.get() == [b'x'] * 4 and repr(ar) == '<AsyncResult(wait): finished>'
        failed = dview.apply_async(fails_on, 1)
        error = raises(ipp.CompositeError, r'\\[1:apply\\]ValueError: engine 1', failed.get)
        assert len(error.elist) == 1 and repr(failed) == '<AsyncResult(fails_on): failed>'
        values = failed.get(return_exceptions=True)
        assert values[0] == 0 and values[2:] == [2, 3] and values[1].ename == 'ValueError'
        one = r'^\\[1:apply\\] ValueError: engine 1$'
        error = raises(ipp.RemoteError, one, rc[1].apply_sync, fails_on, 1)
        assert type(error) is ipp.RemoteError
        """,
    )


def test_4_01_the_first_failure_does_not_wait_for_the_rest(nb: Notebook) -> None:
    check(
        nb,
        """
        def slow(engine):
            if mpi_rank != engine:
                time.sleep(60)
            return fails_on(engine)
        ar = dview.apply_async(slow, 2)
        began = time.monotonic()
        first = concurrent.futures.FIRST_EXCEPTION
        raises(ipp.CompositeError, r'\\[2:apply\\]', ar.get, 30, return_when=first)
        assert time.monotonic() - began < 30 and not ar.done()
        rc.send_signal('SIGINT', [0, 1, 3], block=True)
        error = raises(ipp.CompositeError, 'KeyboardInterrupt', ar.get, 30)
        assert len(error.elist) == 4
        """,
    )


def test_4_02_to_04_futures_dicts_and_waiting(nb: Notebook) -> None:
    check(
        nb,
        """
        gate = Gate(); ar = gate.hold(dview)
        assert ar.wait(0) is False
        done, pending = ar.wait(0, return_when=concurrent.futures.FIRST_COMPLETED)
        assert not done and len(pending) == 4 and all(isinstance(one, ipp.AsyncResult) for one in pending)
        gate.open(4)
        done, pending = ar.wait(30, return_when=concurrent.futures.ALL_COMPLETED)
        assert len(done) == 4 and not pending and ar.wait() is True
        assert ar.r == ar.result() == ar.result(1) == [b'x'] * 4 and isinstance(ar, concurrent.futures.Future)
        several = [rc[n].apply_async(int, n) for n in range(4)]
        assert sorted(one.result() for one in concurrent.futures.as_completed(several, 30)) == [0, 1, 2, 3]
        assert rc[1:3].apply_async(int, 4).get_dict() == {1: 4, 2: 4}
        assert rc[3].apply_async(int).result_dict == {3: 0}
        twice = ipp.AsyncResult.join(rc[0].apply_async(int), rc[0].apply_async(int))
        raises(ValueError, 'Cannot build dict, 2 jobs ran on engine #0', twice.get_dict)
        """,
    )


def test_4_05_and_06_ready_and_successful(nb: Notebook) -> None:
    check(
        nb,
        """
        gate = Gate(); ar = gate.hold(dview)
        assert not ar.ready() and not ar.done()
        raises(RuntimeError, r'Cannot check successful\\(\\) if not done\\.', ar.successful)
        gate.open(4)
        ar.wait()
        assert ar.ready() and ar.done() and ar.successful()
        failed = dview.apply_async(fails_on, 0)
        failed.wait()
        assert failed.ready() and not failed.successful()
        """,
    )


def test_4_07_progress_bar(nb: Notebook) -> None:
    cell = check(nb, "assert dview.apply_async(int).wait_interactive(widget=False) is None")
    assert "int: 100%" in cell.stdout + cell.stderr and "4/4" in cell.stdout + cell.stderr


def test_4_08_outputs_are_waited_for(nb: Notebook) -> None:
    shown = check(nb, "dview.execute('import time; time.sleep(.2); print(1)').display_outputs()")
    assert shown.stdout == lines("1", range(4))
    shown = check(nb, "dview.execute('5', silent=False).display_outputs()")
    assert [text.partition(":")[0] for text in shown.results] == [f"Out[{n}" for n in range(4)]
    shown = check(nb, "rc[2].execute('print(2)').display_outputs()")
    assert shown.stdout == "2\n"
    check(nb, "raises(ValueError, 'groupby must be one of', dview.execute('').display_outputs, 'bogus')")


def test_4_09_stream(nb: Notebook) -> None:
    shown = check(
        nb,
        """
        ar = dview.execute("import time\\nfor n in range(3): print(n, flush=True); time.sleep(.05)")
        with ar.stream_output():
            ar.get()
        """,
    )
    assert sorted(shown.stdout.splitlines()) == sorted(
        f"[stdout:{n}] {k}" for n in range(4) for k in range(3)
    )


def test_4_10_and_11_metadata(nb: Notebook) -> None:
    check(
        nb,
        """
        ar = dview.execute("import sys; print('out'); print('err', file=sys.stderr); 7", silent=False)
        ar.get()
        assert ar.stdout == ['out\\n'] * 4 and ar['stderr'] == ['err\\n'] * 4 and ar.status == ['ok'] * 4
        assert ar.engine_id == [0, 1, 2, 3] and len(set(ar.engine_uuid)) == 4
        assert [one['data']['text/plain'] for one in ar.execute_result] == ['7'] * 4
        single = rc[2].execute('print(1)')
        single.get()
        assert single.stdout == '1\\n' and single.engine_id == 2
        raises(AttributeError, "'AsyncResult' object has no attribute 'nokey'", lambda: ar.nokey)
        raises(KeyError, 'nokey', lambda: ar['nokey'])
        for metadata in ar.metadata:
            times = [metadata[key] for key in ('submitted', 'started', 'completed', 'received')]
            assert all(isinstance(one, datetime) and one.tzinfo is not None for one in times)
            assert times == sorted(times)
        raises(KeyError, 'nokey', ar.metadata[0].__setitem__, 'nokey', 1)
        gate = Gate(); waiting = gate.hold(dview)
        assert waiting.stdout == [''] * 4 and waiting.completed == [None] * 4
        gate.open(4)
        assert 'stdout' in dir(ar) and 'get' in dir(ar)
        """,
    )


def test_4_12_to_17_sequence_and_times(nb: Notebook) -> None:
    check(
        nb,
        """
        gate = Gate(); ar = gate.hold(dview)
        assert len(ar) == 4 and ar.progress == 0 and ar.elapsed > 0
        raises(TimeoutError, 'not ready', lambda: ar[0])
        raises(TimeoutError, 'result not ready', lambda: ar.serial_time)
        raises(TimeoutError, 'result not ready', lambda: ar.wall_time)
        gate.open(4)
        assert list(ar) == [b'x'] * 4
        ar.wait()
        assert ar[0] == b'x' and ar[1:3] == [b'x', b'x'] and ar.progress == 4
        ar = dview.apply_async(time.sleep, 0.3)
        ar.wait()
        assert 1.2 <= ar.serial_time < 4 * ar.wall_time and ar.wall_time >= 0.3
        assert ar.timedelta(ar.started, ar.completed) >= 0.3
        assert abs(ar.timedelta(ar.submitted, ar.received) - ar.wall_time) < 1e-3
        raises(TypeError, 'AsyncResults with a single result are not iterable', iter, rc[0].apply_async(int))
        """,
    )


def test_4_18_and_19_abort(nb: Notebook) -> None:
    check(
        nb,
        """
        gate = Gate(); first = gate.hold(dview)
        second = dview.apply_async(int)
        assert len(second.msg_ids) == len(set(second.msg_ids)) == 4
        second.abort()
        raises(ipp.CompositeError, 'TaskAborted', second.get)
        assert second.status == ['aborted'] * 4
        gate.open(4)
        first.get()
        raises(RuntimeError, "Can't abort, I am already done!", first.abort)
        """,
    )


def test_4_20_to_23_output_parts_and_futures(nb: Notebook) -> None:
    check(
        nb,
        """
        ar = dview.apply_async(print, 'here')
        assert ar.wait_for_output() is True and ar.stdout == ['here\\n'] * 4
        assert ar.sent is True and ar.wait_for_send() is True
        parts = dview.apply_async(int, 7).split()
        assert [part.get() for part in parts] == [7] * 4 and ipp.AsyncResult.join(*parts).get() == [7] * 4
        raises(ValueError, 'at least one', ipp.AsyncResult.join)
        called = threading.Event()
        ar = dview.apply_async(int)
        ar.add_done_callback(lambda done: called.set())
        assert called.wait(30) and ar.exception() is None
        assert isinstance(dview.apply_async(fails_on, 0).exception(), ipp.CompositeError)
        assert await dview.apply_async(int, 3) == [3] * 4
        gate = Gate(); left = gate.hold(rc[0])
        assert left.cancel() and left.cancelled()
        gate.open()
        """,
    )


def test_4_26_and_28_maps_and_replies(nb: Notebook) -> None:
    check(
        nb,
        """
        ar = dview.map_async(str, range(10))
        assert isinstance(ar, ipp.AsyncMapResult) and len(ar) == 10
        assert ar.get() == list(ar) == list(map(str, range(10))) and ar.progress == 10
        assert [part.get() for part in ar.split()][0] == [['0', '1', '2']]
        values = dview.map_async(lambda n: 1 // n, range(4), return_exceptions=True).get()
        assert values[0].ename == 'ZeroDivisionError' and values[1:] == [1, 0, 0]
        reply = rc[0].execute("print('hi'); 42", silent=False).get()
        assert reply.stdout == 'hi\\n' and reply['engine_id'] == 0 and reply.data['text/plain'] == '42'
        assert repr(reply) == f'<ExecuteReply[{reply.execution_count}]: 42>'
        """,
    )


def test_4_27_results_of_the_hub(nb: Notebook) -> None:
    check(
        nb,
        """
        with ipp.Client() as other:
            ids = other[:].apply_async(lambda: mpi_rank).msg_ids
        del other
        ar = rc.get_result([f'{name}' for name in ids])
        assert isinstance(ar, (ipp.AsyncResult, ipp.AsyncHubResult)) and ar.get(30) == [0, 1, 2, 3]
        name = rc.hub_history()[0]
        assert rc.get_result(name).wait(30) is True
        """,
    )


def test_6_01_to_03_errors_of_engines(nb: Notebook) -> None:
    cell = check(
        nb,
        """
        error = raises(ipp.RemoteError, 'ValueError', rc[2].apply_sync, fails_on, 2)
        assert (error.ename, error.evalue) == error.args == ('ValueError', 'engine 2')
        assert error.engine_info['engine_id'] == 2 and error.engine_info['method'] == 'apply'
        assert repr(error) == '<RemoteError[2]:ValueError(engine 2)>' and 'fails_on' in error.traceback
        error = raises(ipp.CompositeError, 'raised in: execute', dview.execute, '1/0', block=True)
        assert error.msg == 'one or more exceptions raised in: execute' and repr(error) == 'CompositeError(4)'
        assert [one[3]['method'] for one in error.elist] == ['execute'] * 4
        error.print_traceback(1)
        raises(ipp.RemoteError, r'\\[3:execute\\] ZeroDivisionError', error.raise_exception, 3)
        raises(IndexError, 'an exception with index 9 does not exist', error.raise_exception, 9)
        """,
    )
    assert cell.stdout.startswith("[1:execute]:\n") and "division by zero" in cell.stdout


def test_6_04_the_engines_traceback_takes_the_place_of_ours(nb: Notebook) -> None:
    cell = nb.run("rc[1].apply_sync(fails_on, 1)")
    assert cell.error.startswith("RemoteError: [1:apply] ValueError: engine 1\n[1:apply]\n")
    assert "----> 5" in cell.error and "parallel_python/" not in cell.error
    cell = nb.run("dview.apply_sync(lambda: 1 / 0)")
    assert [part for part in cell.error.splitlines() if part.endswith(":apply]:")] == [
        f"[{n}:apply]:" for n in range(4)
    ]


def test_6_04_the_line_is_of_the_cell_that_it_was_typed_into(nb: Notebook) -> None:
    """Equal code of two cells is one function to Python, but not to who reads where it failed."""
    for _ in range(2):
        cell = nb.run("dview.apply_sync(lambda: nowhere)")
        assert f"Cell In[{cell.count}], line 1" in cell.error
    cell = nb.run("dview.apply_sync( lambda: nowhere)")
    assert f"Cell In[{cell.count}], line 1" in cell.error
    cell = nb.run("rc[0].apply_sync(lambda: nowhere)")
    assert "----> 1 rc[0]." in cell.error


def test_6_04_an_expression_that_cannot_be_pulled(nb: Notebook) -> None:
    cell = nb.run("rc[0].pull('nosuch', block=True)")
    assert cell.error.endswith("[0:apply]\nNameError: name 'nosuch' is not defined")


def test_6_06_what_users_catch(nb: Notebook) -> None:
    check(
        nb,
        """
        assert issubclass(ipp.CompositeError, ipp.RemoteError) and ipp.TimeoutError is TimeoutError
        for call in (lambda: dview.apply_sync(fails_on, 0), lambda: rc[0].apply_sync(fails_on, 0)):
            raises(ipp.RemoteError, 'ValueError', call)
        gate = Gate()
        queue = [gate.hold(rc[0]), rc[0].apply_async(int)]
        queue[1].abort()
        raises(ipp.TaskAborted, 'before it began', queue[1].get)
        gate.open()
        from ipyparallel.error import NoEnginesRegistered
        assert 'wait_for_engines' in str(NoEnginesRegistered())
        """,
    )
