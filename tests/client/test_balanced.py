"""Load-balanced views on real engines. Numbers are rows of the reference."""

from __future__ import annotations

import pytest

from notebook import Notebook
from notebooks import GATE, START, check


@pytest.fixture(scope="module", autouse=True)
def start(nb: Notebook) -> None:
    check(nb, START + GATE + "lview = rc.load_balanced_view()")


def test_3_32_apply(nb: Notebook) -> None:
    check(
        nb,
        """
        assert lview.apply_sync(lambda x: x + 1, 2) == 3
        ar = lview.apply(lambda: mpi_rank)
        assert isinstance(ar, ipp.AsyncResult) and ar.get() == ar.engine_id and ar.get() in range(4)
        raises(TypeError, "f must be callable, not <class 'int'>", lview.apply, 5)
        raises(ipp.RemoteError, 'ZeroDivisionError', lview.apply_sync, lambda: 1 / 0)
        """,
    )


def test_3_33_map(nb: Notebook) -> None:
    check(
        nb,
        """
        assert lview.map_sync(lambda x: x * x, range(20)) == [x * x for x in range(20)]
        ar = lview.map(str, range(10), chunksize=3)
        assert len(ar) == 10 and len(ar.msg_ids) == 4 and ar.get() == list('0123456789')
        assert sorted(lview.map(int, range(10), ordered=False)) == list(range(10))
        values = lview.map_sync(lambda x: 1 // x, [1, 0, 1], return_exceptions=True)
        assert values[0] == values[2] == 1 and isinstance(values[1], ipp.RemoteError)
        raises(ipp.CompositeError, 'ZeroDivisionError', lview.map_sync, lambda x: 1 // x, [1, 0, 1])
        assert lview.map(str, []) == []
        raises(AssertionError, '', lview.map, str)
        class Box:
            def __init__(self, x): self.x = x
        assert lview.map_sync(lambda box, y: box.x + y, [Box(1), Box(2)], [10, 20]) == [11, 22]
        """,
    )


def test_3_33_tasks_share_no_state_of_the_function(nb: Notebook) -> None:
    check(
        nb,
        """
        import random
        lview = rc.load_balanced_view()
        def kept(x, seen=[]):
            seen.append(x)
            return len(seen)
        class Counter:
            n = 0
            def count(self, x):
                self.n += 1
                return self.n
        def closure():
            n = 0
            def count(x):
                nonlocal n
                n += 1
                return n
            return count
        for count in (kept, Counter().count, closure()):
            assert lview.map_sync(count, range(12)) == [1] * 12
        assert len(set(lview.map_sync(random.Random(0).randint, [1] * 12, [10**6] * 12))) == 1
        """,
    )


def test_3_34_imap(nb: Notebook) -> None:
    check(
        nb,
        """
        import itertools
        numbers = lview.imap(lambda x: 2 * x, itertools.count())
        assert [next(numbers) for _ in range(5)] == [0, 2, 4, 6, 8]
        numbers.cancel()
        assert sorted(lview.imap(str, range(6), ordered=False)) == list('012345')
        assert list(lview.imap(str, range(6), max_outstanding=0)) == list('012345')
        values = list(lview.imap(lambda x: 1 // x, [1, 0], return_exceptions=True))
        assert values[0] == 1 and isinstance(values[1], ipp.RemoteError)
        """,
    )


def test_3_35_targets(nb: Notebook) -> None:
    check(
        nb,
        """
        view = rc.load_balanced_view([1, 3])
        assert set(view.map_sync(lambda x: mpi_rank, range(20))) <= {1, 3}
        assert len(view) == 2
        """,
    )


def test_3_36_dependencies(nb: Notebook) -> None:
    check(
        nb,
        """
        first = lview.apply(lambda: mpi_rank)
        with lview.temp_flags(follow=first):
            followers = [lview.apply(lambda: mpi_rank) for _ in range(4)]
        assert {ar.get() for ar in followers} == {first.get()}
        with lview.temp_flags(after=[first, followers[0].msg_ids[0]]):
            assert lview.apply_sync(int) == 0
        failing = lview.apply(lambda: 1 / 0)
        with lview.temp_flags(after=ipp.Dependency(failing, success=False, failure=True)):
            assert lview.apply_sync(int) == 0
        raises(ValueError, 'Invalid dependency', lview.set_flags, after=5)
        """,
    )


def test_3_37_retries(nb: Notebook) -> None:
    check(
        nb,
        """
        def only_on_three():
            assert mpi_rank == 3, mpi_rank
            return mpi_rank
        with lview.temp_flags(retries=4):
            assert lview.apply_sync(only_on_three) == 3
        def never(): raise ValueError(mpi_rank)
        with lview.temp_flags(retries=1):
            raises(ipp.RemoteError, 'ValueError', lview.apply_sync, never)
        """,
    )


def test_3_38_timeouts(nb: Notebook) -> None:
    check(
        nb,
        """
        raises(ValueError, 'timeout', lview.set_flags, timeout=-1)
        raises(TypeError, 'timeout', lview.set_flags, timeout='soon')
        import os, tempfile
        gate = os.path.join(tempfile.mkdtemp(), 'gate'); os.mkfifo(gate)
        held = lview.apply_async(lambda path: open(path).read(), gate)
        with lview.temp_flags(after=held, timeout=0.1):
            late = lview.apply_async(int)
        raises(ipp.RemoteError, 'TaskTimeout', late.get, 30)
        open(gate, 'w').close(); held.get()
        """,
    )


def test_3_39_requirements_that_no_engine_meets_are_an_error(nb: Notebook) -> None:
    check(
        nb,
        """
        @ipp.require('no_such_module')
        def f(): pass
        raises(ipp.RemoteError, 'UnmetDependency|ImpossibleDependency', lview.apply_sync, f)
        @ipp.depend(lambda: mpi_rank == 2)
        def g(): return mpi_rank
        assert [lview.apply_sync(g) for _ in range(4)] == [2] * 4
        """,
    )


def test_3_36_dependencies_on_parts(nb: Notebook) -> None:
    check(
        nb,
        """
        gate = Gate(); held = gate.hold(rc[1])
        parts = rc[:2].apply_async(lambda: mpi_rank)
        some = rc.load_balanced_view([1, 2, 3])
        with some.temp_flags(after=parts.msg_ids[0]):
            assert some.apply_sync(int) == 0
        with some.temp_flags(after=ipp.Dependency(parts, all=False)):
            assert some.apply_sync(int) == 0
        with some.temp_flags(after=parts):
            last = some.apply_async(int)
        with some.temp_flags(follow=parts.msg_ids[1]):
            there = some.apply_async(lambda: mpi_rank)
        with some.temp_flags(follow=parts.msg_ids[0]):
            raises(ipp.RemoteError, 'ImpossibleDependency', some.apply_sync, int)
        with some.temp_flags(after=f'{parts.msg_ids[0][:-2]}@3'):
            raises(ipp.RemoteError, 'InvalidDependency', some.apply_sync, int)
        assert not last.done() and not there.done()
        gate.open(1)
        held.get()
        assert (last.get(timeout=30), there.get(timeout=30)) == (0, 1)
        """,
    )


def test_3_40_impossible_graphs(nb: Notebook) -> None:
    check(
        nb,
        """
        failing = lview.apply(lambda: 1 / 0)
        with lview.temp_flags(after=failing):
            raises(ipp.RemoteError, 'ImpossibleDependency', lview.apply_sync, int)
        with lview.temp_flags(after='nothing'):
            error = raises(ipp.RemoteError, 'InvalidDependency', lview.apply_sync, int)
        assert str(error).startswith('[Engine Exception]')
        a, b = rc[0].apply_async(int), rc[1].apply_async(int)
        a.get(), b.get()
        with lview.temp_flags(follow=[a, b]):
            raises(ipp.RemoteError, 'ImpossibleDependency|InvalidDependency', lview.apply_sync, int)
        """,
    )


def test_3_41_and_50_joblib(nb: Notebook) -> None:
    pytest.importorskip("joblib")
    check(
        nb,
        """
        import joblib
        lview.register_joblib_backend('mine')
        with joblib.parallel_backend('mine'):
            squares = joblib.Parallel(n_jobs=-1)(joblib.delayed(pow)(i, 2) for i in range(20))
        assert squares == [i * i for i in range(20)]
        ipp.register_joblib_backend()
        with joblib.parallel_backend('ipyparallel'):
            more = joblib.Parallel(n_jobs=2)(joblib.delayed(lambda x: x + 1)(i) for i in range(4))
        assert more == [1, 2, 3, 4]
        # Which engines do something is written down: each waits until another has come.
        import os, tempfile
        folder = tempfile.mkdtemp()
        def meet(n, folder=folder):
            import os
            open(f'{folder}/{os.getpid()}', 'w').close()
            while len(os.listdir(folder)) < 2: pass
            return n
        here = os.getpid()
        assert joblib.Parallel(backend='mine')(joblib.delayed(meet)(n) for n in range(4)) == [0, 1, 2, 3]
        assert str(here) not in os.listdir(folder) and len(os.listdir(folder)) >= 2
        assert len(os.listdir(folder)) <= 4
        lview.register_joblib_backend('preferred', make_default=True)
        try:
            pids = joblib.Parallel()(joblib.delayed(os.getpid)() for _ in range(20))
        finally:
            from joblib.parallel import register_parallel_backend, BACKENDS
            register_parallel_backend('loky', BACKENDS['loky'], make_default=True)
        assert here not in pids and set(pids) <= set(rc[:].apply_sync(os.getpid))
        """,
    )


def test_3_44_parallel_functions(nb: Notebook) -> None:
    check(
        nb,
        """
        @lview.parallel(chunksize=3, block=True)
        def double(part): return [2 * x for x in part]
        assert double(list(range(10))) == list(range(0, 20, 2))
        @lview.parallel(block=True)
        def one(x): return x + 1
        assert one.map(range(5)) == [1, 2, 3, 4, 5] and one.map(x for x in range(3)) == [1, 2, 3]
        from collections import deque
        assert double(x for x in range(4)) == [0, 2, 4, 6] == double(deque(range(4)))
        assert sorted(double({1, 2})) == [2, 4]
        half = lview.parallel(chunksize=1, block=True, return_exceptions=True)(lambda p: [1 // x for x in p])
        assert [type(value) for value in half([0, 1])] == [ipp.RemoteError, int]
        import os, tempfile
        gate = os.path.join(tempfile.mkdtemp(), 'gate'); os.mkfifo(gate)
        def wait_at(items, gate=gate):
            if list(items) == [0]: open(gate).read()
            return items
        unordered = lview.parallel(chunksize=1, block=False, ordered=False)(wait_at)([0, 1, 2])
        items = iter(unordered)
        assert {next(items), next(items)} == {1, 2}
        open(gate, 'w').close()
        assert next(items) == 0
        """,
    )


def test_3_48_dependent(nb: Notebook) -> None:
    check(
        nb,
        """
        f = ipp.dependent(lambda: mpi_rank, lambda n: mpi_rank == n, 1)
        assert lview.apply_sync(f) == 1
        """,
    )


def test_3_54_executor(nb: Notebook) -> None:
    check(
        nb,
        """
        import concurrent.futures
        with rc.executor() as executor:
            futures = [executor.submit(pow, n, 2) for n in range(8)]
            assert [future.result(30) for future in futures] == [n * n for n in range(8)]
            done = concurrent.futures.as_completed(futures, 30)
            assert sorted(future.result() for future in done) == [n * n for n in range(8)]
            assert list(executor.map(str, range(4))) == list('0123')
        assert executor._max_workers == 4
        """,
    )


def test_a_long_task_delays_no_short_one(nb: Notebook) -> None:
    check(
        nb,
        """
        import os, tempfile
        gate = os.path.join(tempfile.mkdtemp(), 'gate'); os.mkfifo(gate)
        held = lview.apply_async(lambda path: open(path).read(), gate)
        assert lview.map_sync(lambda x: x, range(200)) == list(range(200))
        assert not held.done()
        open(gate, 'w').close(); held.get()
        """,
    )
