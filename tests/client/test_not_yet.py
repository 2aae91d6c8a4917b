"""What is not done yet, on engines that wait to be let through. Numbers are rows of the reference."""

from __future__ import annotations

import pytest

from notebook import Notebook
from notebooks import START, check

#: An engine waits at a named pipe until the notebook opens it.
HELPERS = """
import asyncio, concurrent.futures, itertools, os, tempfile, threading, time
folder = tempfile.mkdtemp()
lview = rc.load_balanced_view()
def gate():
    path = os.path.join(folder, f'gate-{next(gates)}')
    os.mkfifo(path)
    return path
gates = itertools.count()
def through(path, value=None):
    with open(path) as pipe:
        pipe.read()
    return value
def release(path):
    with open(path, 'w'):
        pass
"""


@pytest.fixture(scope="module", autouse=True)
def start(nb: Notebook) -> None:
    check(nb, START)
    check(nb, HELPERS)


def test_4_23_a_result_that_is_given_up_has_no_value(nb: Notebook) -> None:
    check(
        nb,
        """
        path = gate()
        ar = rc[0].apply_async(through, path, 3)
        try:
            await asyncio.wait_for(ar, 0.05)
        except TimeoutError:
            pass
        else:
            raise AssertionError('it did not wait')
        assert ar.cancelled() and 'cancelled' in repr(ar)
        release(path)
        assert rc[0].apply_sync(int) == 0  # the engine has gone on
        for value in (ar.get, ar.result, lambda: ar[0], ar.exception):
            raises(concurrent.futures.CancelledError, '', value)
        assert not ar.successful()
        """,
    )


def test_4_04_and_13_parts_and_values_come_one_after_the_other(nb: Notebook) -> None:
    check(
        nb,
        """
        path = gate()
        ar = dview.apply_async(lambda path: through(path) or mpi_rank if mpi_rank == 3 else mpi_rank, path)
        values = iter(ar)
        assert [next(values) for _ in range(3)] == [0, 1, 2] and not ar.done()
        done, pending = ar.wait(0, return_when=concurrent.futures.FIRST_COMPLETED)
        assert len(done) == 3 and len(pending) == 1 and ar.progress == 3
        assert ar.wait(0, return_when=concurrent.futures.FIRST_COMPLETED) == (done, pending)
        release(path)
        assert list(values) == [3] and ar.wait(30, return_when=concurrent.futures.ALL_COMPLETED)[0] >= done
        """,
    )


def test_3_33_values_come_as_they_are_there(nb: Notebook) -> None:
    check(
        nb,
        """
        path = gate()
        def late(n, path=path):
            return through(path, n) if n == 0 else n
        ar = lview.map(late, range(8), ordered=False)
        values = iter(ar)
        assert 0 not in [next(values) for _ in range(7)] and not ar.done()
        release(path)
        assert list(values) == [0]
        os.unlink(path), os.mkfifo(path)
        ar = lview.map(late, [1, 2, 0, 3], ordered=True)
        values = iter(ar)
        assert [next(values), next(values)] == [1, 2] and not ar.done()
        release(path)
        assert list(values) == [0, 3]
        """,
    )


def test_3_34_one_late_item_delays_no_other(nb: Notebook) -> None:
    check(
        nb,
        """
        path, read = gate(), threading.Event()
        def numbers():
            for n in itertools.count():
                if n == 40:
                    read.set()
                yield n
        values = lview.imap(lambda n, path=path: through(path, n) if n == 0 else n, numbers())
        assert read.wait(30), 'the other engines stand still'
        assert len(lview.outstanding) <= 4
        release(path)
        assert [next(values) for _ in range(50)] == list(range(50))
        values.cancel()
        assert list(values) == []
        raises(ipp.RemoteError, 'ZeroDivisionError', list, lview.imap(lambda n: 1 // n, [1, 0, 1]))
        """,
    )


def test_3_54_shutdown_waits_for_maps_that_nobody_takes(nb: Notebook) -> None:
    check(
        nb,
        """
        def write(n, folder=folder):
            with open(os.path.join(folder, f'{n}.txt'), 'w') as file:
                return file.write(str(n))
        for executor in (lview.executor, dview.executor):
            with executor:
                executor.map(write, range(100))
            assert all(os.path.exists(os.path.join(folder, f'{n}.txt')) for n in range(100))
            for n in range(100):
                os.unlink(os.path.join(folder, f'{n}.txt'))
            assert executor is executor.view.executor  # it can be used again
        assert lview.executor.submit(int, 7).result() == 7 and rc.ids == [0, 1, 2, 3]
        """,
    )


def test_3_51_data_is_there_while_the_function_runs(nb: Notebook) -> None:
    check(
        nb,
        """
        path = gate()
        def publishes(path):
            from ipyparallel.datapub import publish_data
            publish_data({'step': 1, 'rank': mpi_rank})
            through(path)
            publish_data({'step': 2})
        ar = rc[2].apply_async(publishes, path)
        deadline = time.monotonic() + 30
        with open(path, 'w'):
            while not ar.data:
                rc[1].apply_sync(int)
                assert time.monotonic() < deadline
            assert ar.data == {'step': 1, 'rank': 2} and not ar.done()
        ar.get()
        assert ar.data == {'step': 2, 'rank': 2}
        """,
    )
