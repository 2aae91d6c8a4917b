"""Tasks taken back, remembered, found again; engines signalled. Numbers are rows of the reference."""

from __future__ import annotations

import pytest

from notebook import Notebook
from notebooks import GATE, START, check


@pytest.fixture(scope="module", autouse=True)
def start(nb: Notebook) -> None:
    check(nb, START + GATE)


def test_2_15_and_3_07_abort(nb: Notebook) -> None:
    check(
        nb,
        """
        gate = Gate(); held = gate.hold(rc[0])
        mine, others = rc[0].apply_async(int), rc[0].apply_async(int)
        assert rc.abort(mine, block=True) is None
        raises(ipp.TaskAborted, 'aborted', mine.get)
        assert mine.status == 'aborted' and not mine.successful()
        view = rc[0]
        last = view.apply_async(int)
        view.abort(block=True)
        raises(ipp.TaskAborted, 'aborted', last.get)
        by_id = rc[0].apply_async(int)
        rc.abort(by_id.msg_ids, block=True)
        raises(ipp.TaskAborted, 'aborted', by_id.get)
        gate.open()
        assert held.get() == b'x' and others.get() == 0
        raises(TypeError, 'Invalid msg_id type 1, expected str or AsyncResult', rc.abort, [1])
        raises(RuntimeError, "Can't abort, I am already done!", held.abort)
        """,
    )


def test_2_15_and_3_07_abort_of_all_and_of_some_engines(nb: Notebook) -> None:
    check(
        nb,
        """
        gate = Gate(); held = [gate.hold(rc[0]), gate.hold(rc[1])]
        gate.wait_for(2)
        zero, one = rc[0].apply_async(int), rc[1].apply_async(int)
        assert rc.outstanding == {*held[0].msg_ids, *held[1].msg_ids, *zero.msg_ids, *one.msg_ids}
        rc.abort([zero, one], targets=1, block=True)
        raises(ipp.TaskAborted, 'aborted', one.get)
        assert not zero.done()
        view = rc[:2]
        mine = view.apply_async(int)
        assert view.outstanding == set(mine.msg_ids)
        view.abort(targets=[0, 1], block=True)
        raises(ipp.CompositeError, 'TaskAborted', mine.get)
        assert not zero.done() and view.outstanding == set()
        again = rc[1].apply_async(int)
        assert rc.result_status([zero, again])['pending'] == [*zero.msg_ids, *again.msg_ids]
        rc.abort(block=True)
        raises(ipp.TaskAborted, '', zero.get)
        raises(ipp.TaskAborted, '', again.get)
        lview = rc.load_balanced_view([0, 1])
        waiting = [lview.apply_async(int) for _ in range(40)]
        status = rc.queue_status()
        assert status['unassigned'] > 0 and len(rc.outstanding) == 42
        assert status['unassigned'] + sum(status[n]['tasks'] + status[n]['queue'] for n in range(4)) >= 40
        gate.open(2)
        for one in held: one.get()
        assert rc.wait(timeout=30) and {one.get() for one in waiting} == {0}
        """,
    )


def test_2_15_abort_of_a_part(nb: Notebook) -> None:
    check(
        nb,
        """
        gate = Gate(); held = [gate.hold(rc[0]), gate.hold(rc[1])]
        both = rc[:2].apply_async(lambda: mpi_rank)
        rc.abort(both.msg_ids[1], block=True)
        raises(ipp.TaskAborted, 'aborted', rc.get_result(both.msg_ids[1], owner=False).get)
        assert not both.done() and both.msg_ids[0] in rc.outstanding
        gate.open(2)
        for one in held: one.get()
        assert rc.get_result(both.msg_ids[0], owner=False).get(timeout=30) == 0
        raises(ipp.CompositeError, 'TaskAborted', both.get)
        assert both.status == ['ok', 'aborted']
        """,
    )


def test_4_18_several_that_were_aborted_raise(nb: Notebook) -> None:
    check(
        nb,
        """
        gate = Gate(); held = gate.hold(rc[0])
        both = rc[0, 1].apply_async(int)
        rc[1].apply_sync(int)
        rc.abort(both, block=True)
        error = raises(ipp.CompositeError, 'TaskAborted', both.get)
        assert len(error.elist) == 1, 'engine 1 had done it'
        gate.open(); held.get()
        """,
    )


def test_1_26_a_failed_cell_takes_back_the_cells_behind_it_and_no_calls(nb: Notebook) -> None:
    check(
        nb,
        """
        gate = Gate(); held = gate.hold(rc[0])
        view = rc[0]
        view.push({'b': 1}, block=False)
        failing = view.execute('1/0', silent=False)
        behind = view.execute('b *= 2', silent=False)
        call = view.apply_async(lambda: b)
        gate.open(); held.get()
        raises(ipp.RemoteError, 'ZeroDivisionError', failing.get)
        raises(ipp.TaskAborted, '', behind.get)
        assert call.get() == 1
        """,
    )


def test_2_17_signals(nb: Notebook) -> None:
    check(
        nb,
        """
        def sleeps():
            import time
            print('asleep', flush=True)
            time.sleep(60)
        import threading
        begun = threading.Event()
        ar = rc[1].apply_async(sleeps)
        ar._parts[0].listeners += (lambda part, kind, content: begun.set(),)
        assert begun.wait(30) or ar.stdout
        assert rc.send_signal('SIGINT', 1, block=True) is None
        raises(ipp.RemoteError, 'KeyboardInterrupt', ar.get, 30)
        rc.send_signal(2, [0]).result()
        assert rc[0].apply_sync(int) == 0, 'an engine that does nothing ignores it'
        raises(KeyError, 'SIGNOTHING', rc.send_signal, 'SIGNOTHING')
        """,
    )


def test_2_19_queue_status(nb: Notebook) -> None:
    check(
        nb,
        """
        gate = Gate(); held = gate.hold(rc[0])
        later = rc[0].apply_async(int)
        status = rc.queue_status()
        assert set(status) == {'unassigned', 0, 1, 2, 3} and status['unassigned'] == 0
        assert status[0]['queue'] == 2 and status[1]['queue'] == 0
        assert set(status[0]) == {'queue', 'completed', 'tasks'}
        assert rc.queue_status(0)['queue'] == 2 and rc[0].queue_status()['queue'] == 2
        names = rc.queue_status(0, verbose=True)['queue']
        assert [ar.msg_ids[0].partition('@')[0] for ar in (held, later)] == names
        gate.open(); later.get()
        assert rc.queue_status(0) == {**status[0], 'queue': 0, 'completed': status[0]['completed'] + 2}
        """,
    )


def test_2_19_a_balanced_task_is_counted_once(nb: Notebook) -> None:
    check(
        nb,
        """
        gate = Gate(); held = gate.hold(rc.load_balanced_view(2))
        status = rc.queue_status()[2]
        assert (status['queue'], status['tasks']) == (0, 1), status
        gate.open(); held.get()
        """,
    )


def test_2_24_and_25_results_of_another_client(nb: Notebook) -> None:
    check(
        nb,
        """
        def rank(): return mpi_rank
        ids = rc[:].apply_async(rank).msg_ids
        rc.wait()
        import gc; gc.collect()
        other = ipp.Client()
        found = other.get_result(ids)
        assert found.get() == [0, 1, 2, 3] and other.history == []
        assert other.get_result(ids[2]).get() == 2
        assert rc.result_status(ids)['completed'] == ids and rc.result_status(ids)['pending'] == []
        assert rc.result_status(ids, status_only=False)[ids[3]] == 3
        raises(KeyError, 'nothing', other.get_result, 'nothing')
        assert set(ids) <= set(other.hub_history())
        """,
    )


def test_2_24_output_comes_back_too(nb: Notebook) -> None:
    check(
        nb,
        """
        ids = rc[:2].execute("print('hi', mpi_rank)").msg_ids
        rc.wait()
        import gc; gc.collect()
        found = ipp.Client().get_result(ids)
        found.wait()
        assert found.stdout == ['hi 0\\n', 'hi 1\\n']
        failed = rc[0].execute('1/0').msg_ids
        rc.wait(); gc.collect()
        raises(ipp.RemoteError, 'ZeroDivisionError', rc.get_result(failed[0]).get)
        """,
    )


def test_2_26_resubmit(nb: Notebook) -> None:
    check(
        nb,
        """
        rc[:].execute('times = 0', block=True)
        def count():
            global times
            times += 1
            return times
        ar = rc[:].apply_async(count); ar.get()
        again = rc.resubmit(ar)
        assert isinstance(again, ipp.AsyncHubResult) and again.get() == [2] * 4
        assert not set(again.msg_ids) & set(ar.msg_ids)
        waited = rc.resubmit(ar, block=True)
        assert waited.done() and waited.get() == [3] * 4
        rc[:].execute('times = 2', block=True)
        raises(KeyError, 'nothing', rc.resubmit, ['nothing'])
        # Placement is as it was, and what is large is not kept.
        view = rc.load_balanced_view([2])
        assert rc.resubmit(view.apply_async(lambda: mpi_rank)).get() == [2] and rc.resubmit().get() == [2]
        code = rc[1].execute('times += 5'); code.get()
        assert rc.resubmit(code.msg_ids[0]).get() is not None and rc[1]['times'] == 12
        import numpy
        large = rc[0].apply_async(len, numpy.zeros(1_000_000)); large.get()
        raises(KeyError, 'large', rc.resubmit, large)
        # Shared, but not large: it is there again, also when other files have been made and closed since.
        some = rc[0].apply_async(numpy.sum, numpy.ones(20_000)); assert some.get() == 20_000
        text = rc[0].apply_async(len, 'x' * 150_000); assert text.get() == 150_000
        for n in range(3): assert rc[:].apply_sync(len, numpy.zeros(10_000)) == [10_000] * len(rc)
        assert rc.resubmit(some).get() == [20_000] and rc.resubmit(text).get() == [150_000]
        mapped = rc.load_balanced_view().map_async(sum, [[1, numpy.full(10_000, n)] for n in range(3)])
        first = [one.tolist() for one in mapped.get()]
        again = rc.resubmit(mapped).get()
        assert [[one.tolist() for one in part] for part in again] == [[one] for one in first]
        """,
    )


def test_2_27_and_28_history_and_queries(nb: Notebook) -> None:
    check(
        nb,
        """
        view = rc[:]
        ar = view.apply(int); ar.get()
        assert rc.hub_history()[-4:] == ar.msg_ids
        records = rc.db_query({'msg_id': {'$in': ar.msg_ids}}, keys=['engine_id', 'completed'])
        assert [record['engine_id'] for record in records] == [0, 1, 2, 3]
        assert all(set(record) == {'msg_id', 'engine_id', 'completed'} for record in records)
        started = records[0]['completed']
        assert started.tzinfo is not None
        later = rc.db_query({'completed': {'$gte': started}, 'engine_id': 0})
        assert ar.msg_ids[0] in [record['msg_id'] for record in later]
        raises(ValueError, 'no test', rc.db_query, {'engine_id': {'$like': 1}})
        """,
    )


def test_2_28_all_tests_and_keys(nb: Notebook) -> None:
    check(
        nb,
        """
        from datetime import datetime, timedelta
        rc.purge_everything()
        begun = datetime.now()
        ok = rc[0].execute("import sys; print('out'); print('err', file=sys.stderr)"); ok.get()
        bad = rc[1].apply_async(lambda: 1 / 0, ); bad.wait()
        ended = datetime.now()
        one, two = ok.msg_ids[0], bad.msg_ids[0]
        def found(query, **more): return {record['msg_id'] for record in rc.db_query(query, **more)}
        for query, expected in [
            ({'engine_id': 1}, {two}), ({'engine_id': {'$eq': 0}}, {one}), ({'engine_id': {'$ne': 0}}, {two}),
            ({'engine_id': {'$lt': 1}}, {one}), ({'engine_id': {'$lte': 1}}, {one, two}),
            ({'engine_id': {'$gt': 0}}, {two}), ({'engine_id': {'$gte': 0, '$lt': 1}}, {one}),
            ({'engine_id': {'$in': [1, 5]}}, {two}), ({'engine_id': {'$nin': [1, 5]}}, {one}),
            ({'code': {'$glob': '*print(*'}}, {one}), ({'execute_input': {'$glob': '*sys*'}}, {one}),
            ({'completed': {'$gte': begun, '$lte': ended}}, {one, two}),
            ({'submitted': {'$lt': begun - timedelta(hours=1)}}, set()),
            ({'completed': {'$ne': None}, 'status': 'error'}, {two}),
            ({'stdout': {'$glob': '*out*'}}, {one}), ({'stderr': 'err\\n'}, {one}),
            ({'error': {'$ne': None}}, {two}), ({'client_uuid': {'$exists': True}}, {one, two}),
        ]:
            assert found(query) == expected, (query, found(query))
        told = rc.db_query({'msg_id': one}, keys=['stdout', 'stderr', 'engine_uuid'])
        shown = {'stdout': 'out\\n', 'stderr': 'err\\n', 'engine_uuid': ok.engine_uuid}
        assert told == [{'msg_id': one, **shown}]
        assert rc.db_query({'msg_id': two}, keys='status') == [{'msg_id': two, 'status': 'error'}]
        raises(ValueError, "no 'result_header': they have", rc.db_query, {'result_header': 1})
        raises(ValueError, "no 'colour'", rc.db_query, {}, keys=['colour'])
        """,
    )


def test_2_29_what_is_purged_where(nb: Notebook) -> None:
    check(
        nb,
        """
        rc.purge_everything()
        def kept():
            gate = Gate(); held = [gate.hold(rc[n]) for n in (0, 1)]
            ar = rc[:2].apply_async(int)
            ar.owner = False
            gate.open(2); [one.get() for one in held]
            ar.wait()
            return ar
        ar = kept()
        ids = ar.msg_ids
        rc.purge_local_results(ar.msg_ids[0])
        assert ids[0] not in rc.metadata and ids[1] in rc.metadata and set(ids) <= set(rc.hub_history())
        rc.purge_local_results(targets=1)
        assert ids[1] not in rc.metadata
        ar = kept()
        rc.purge_hub_results(targets=1)
        assert ar.msg_ids[0] in rc.hub_history() and ar.msg_ids[1] not in rc.hub_history()
        assert rc.get_result(ar.msg_ids[0], owner=False).get() == 0
        rc.purge_hub_results(ar)
        assert not set(ar.msg_ids) & set(rc.hub_history()) and set(ar.msg_ids) <= set(rc.metadata)
        one, two = rc[0].apply(int), rc[1].apply(int)
        one.get(), two.get()
        rc.purge_hub_results(targets=[0])
        left = rc.hub_history()
        assert one.msg_ids[0] not in left and two.msg_ids[0] in left
        rc.purge_local_results('all')
        assert rc.metadata == {}
        view = rc[2]
        mine = view.apply(int); mine.get()
        view.purge_results(mine)
        assert mine.msg_ids[0] not in rc.hub_history()
        """,
    )


def test_2_29_purging(nb: Notebook) -> None:
    check(
        nb,
        """
        ar = rc[:].apply(int); ar.get()
        ids = ar.msg_ids
        raises(ValueError, 'at least one', rc.purge_results)
        rc.purge_results(ar)
        del ar
        import gc; gc.collect()
        assert not set(ids) & set(rc.hub_history())
        raises(KeyError, '', rc.get_result, ids[0])
        gate = Gate(); held = gate.hold(rc[0])
        raises(RuntimeError, "Can't purge outstanding tasks", rc.purge_results, held)
        gate.open(); held.get()
        rc.purge_everything()
        assert rc.history == [] and rc.hub_history() == []
        """,
    )


def test_2_19_what_former_engines_have_done_is_not_their_successors(nb: Notebook) -> None:
    check(
        nb,
        """
        rc[:].apply_sync(int); rc[1].apply_sync(int)
        before = rc.queue_status(1)['completed']
        get_ipython().run_line_magic('engines', 'restart')
        rc.wait_for_engines(4)
        assert before >= 2 and [rc.queue_status(n)['completed'] for n in range(4)] == [0] * 4
        rc[1].apply_sync(int)
        assert [rc.queue_status(n)['completed'] for n in range(4)] == [0, 1, 0, 0]
        """,
        timeout=120,
    )
