"""The client on real engines. Numbers are rows of the reference."""

from __future__ import annotations

import pytest

from notebook import Notebook
from notebooks import GATE, START, check


@pytest.fixture(scope="module", autouse=True)
def start(nb: Notebook) -> None:
    check(nb, START + GATE)


def test_2_a_client_needs_nothing(nb: Notebook) -> None:
    cell = check(
        nb,
        """
        for options in ({}, {'profile': 'mpi'}, {'cluster_id': 'x'}, {'profile': 'other', 'timeout': 3}):
            with ipp.Client(**options) as client:
                assert client.ids == [0, 1, 2, 3]
        raises(ValueError, 'URL', ipp.Client, 'tcp://127.0.0.1:1')
        assert rc.profile == 'mpi' and rc.cluster is None
        """,
    )
    assert cell.stdout == ""


def test_2_01_ids(nb: Notebook) -> None:
    check(nb, "ids = rc.ids; ids.append(9)\nassert rc.ids == [0, 1, 2, 3]")


def test_2_02_views_by_index(nb: Notebook) -> None:
    check(
        nb,
        """
        assert rc[2].targets == 2 and rc[-1].targets == 3 and rc[:].targets == [0, 1, 2, 3]
        import numpy as np
        assert rc[np.array([1, 3])].targets == [1, 3] and rc[np.int64(3)].targets == 3
        assert rc.direct_view(np.array([2])).targets == [2] and rc[np.array([1, 3])]['mpi_rank'] == [1, 3]
        assert rc.queue_status(np.array([1])).keys() == {'unassigned', 1}
        raises(TypeError, "not <class 'NoneType'>", rc.__getitem__, None)
        assert rc[::2].targets == [0, 2] and rc[0, 1].targets == [0, 1] and rc[range(2)].targets == [0, 1]
        raises(TypeError, "key by int/slice/iterable of ints only, not <class 'str'>", rc.__getitem__, 'a')
        raises(IndexError, 'No such engine: 9', rc.__getitem__, 9)
        """,
    )


def test_2_03_and_04_length_and_iteration(nb: Notebook) -> None:
    check(nb, "assert len(rc) == 4\nassert [view.targets for view in rc] == [0, 1, 2, 3]")


def test_2_05_to_10_views(nb: Notebook) -> None:
    check(
        nb,
        """
        assert rc.direct_view().targets == 'all' and rc.direct_view([1]).targets == [1]
        assert rc.load_balanced_view().targets is None and rc.load_balanced_view('all').targets is None
        assert rc.load_balanced_view([0, 1]).targets == [0, 1]
        assert rc.broadcast_view().targets == [0, 1, 2, 3]
        assert rc.executor([0]).view.targets == [0]
        assert rc.direct_view(block=True).block is True
        """,
    )


def test_2_11_and_12_wait(nb: Notebook) -> None:
    cell = check(
        nb,
        """
        ar = dview.apply(int)
        assert rc.wait() and rc.wait(ar) and rc.wait(-1) and rc.wait(ar.msg_ids)
        assert rc.wait([ar, rc.history[-1]])
        rc.wait_interactive(dview.apply(int))
        dview.apply(int).wait_interactive()
        """,
    )
    assert cell.status == "ok"


def test_2_13_wait_for_engines(nb: Notebook) -> None:
    check(
        nb,
        """
        assert rc.wait_for_engines(4) is None
        assert rc.wait_for_engines(4, block=False).result() is None
        rc.wait_for_engines(4, interactive=True, widget=False)
        raises(TimeoutError, '5 engines not ready in 0.1 seconds. Currently ready: 4',
               rc.wait_for_engines, 5, timeout=0.1)
        raises(TypeError, 'n engines to wait for must be specified', rc.wait_for_engines)
        """,
    )


def test_2_14_clear(nb: Notebook) -> None:
    check(
        nb,
        """
        dview.push({'gone': 1}, block=True)
        assert rc.clear([0], block=True) is None
        raises(ipp.RemoteError, 'NameError', rc[0].pull, 'gone', block=True)
        assert rc[1].pull('gone', block=True) == 1
        rc.clear().result()
        dview.execute("'secret'", silent=False, block=True)
        dview.execute("2 + 2", silent=False, block=True)
        kept = dview.apply_sync(lambda: (_, len(Out) > 1, any('secret' in one for one in In)))
        assert kept == [(4, True, True)] * 4
        count = dview.apply_sync(lambda: len(In))
        rc.clear(block=True)
        def left():
            shell = get_ipython()
            names = [name for name in shell.user_ns if name[1:].isdecimal() or name[:2] == '_i']
            texts = [str(shell.user_ns.get(name)) for name in ('_', '__', '_i', '_ii', 'Out', 'In')]
            return any('secret' in one for one in texts), len(Out), [n for n in names if n[-1].isdecimal()]
        assert dview.apply_sync(left) == [(False, 0, [])] * 4
        assert dview.apply_sync(lambda: len(In)) == count
        again = dview.execute("5", silent=False, block=True)
        found = dview.apply_sync(lambda: (_, [In[n] for n in Out], In, Out))
        assert [one[:2] for one in found] == [(5, ['5'])] * 4, found
        """,
    )


def test_2_18_close(nb: Notebook) -> None:
    check(
        nb,
        """
        client = ipp.Client()
        view = client[:]
        client.close(); client.close()
        raises(RuntimeError, 'closed', view.apply, int)
        assert rc[0].apply_sync(int) == 0
        """,
    )


def test_2_20_and_21_history(nb: Notebook) -> None:
    check(
        nb,
        """
        before = len(rc.history)
        ar = dview.apply(int)
        assert rc.history[before:] == ar.msg_ids and all(isinstance(one, str) for one in ar.msg_ids)
        ar.wait()
        assert rc.outstanding == set()
        """,
    )


def test_2_22_and_23_caches_are_emptied_by_who_owns_the_result(nb: Notebook) -> None:
    check(
        nb,
        """
        ar = dview.apply(int); ar.get()
        assert not any(one in rc.results or one in rc.metadata for one in ar.msg_ids)
        """,
    )


def test_2_22_and_23_what_is_kept_can_be_let_go_of(nb: Notebook) -> None:
    check(
        nb,
        """
        client = ipp.Client()
        assert client.results == {} and client.results['nothing'] is None
        gate = Gate(); part = gate.hold(client[0])
        part.owner = False
        assert part.msg_id in client.metadata and part.msg_id not in client.results
        assert client.metadata[part.msg_id].engine_id == 0
        gate.open(); part.wait()
        assert client.results == {part.msg_id: b'x'} and list(client.metadata) == [part.msg_id]
        raises(TypeError, 'only be taken out', client.results.__setitem__, 'x', 1)
        del client.results[part.msg_id]
        assert client.results == {} and len(client.metadata) == 1
        assert client.results.pop('nothing', 3) == 3
        raises(KeyError, 'nothing', client.results.pop, 'nothing')
        client.metadata.clear()
        assert client.metadata == {} and client.metadata['nothing'].msg_id is None
        """,
    )


def test_2_24_results_again(nb: Notebook) -> None:
    check(
        nb,
        """
        ar = dview.apply(lambda: mpi_rank); ar.get()
        assert rc.get_result(ar.msg_ids).get() == [0, 1, 2, 3]
        assert rc.get_result(ar.msg_ids[2]).get() == 2 and rc.get_result(-1).get() == 3
        assert rc.get_result(ar).get() == [0, 1, 2, 3]
        found = rc.get_result(ar, block=True)
        assert found.done() and found.get() == [0, 1, 2, 3] and len(found.metadata) == 4
        view = rc[:]
        view.block = True
        view.apply(int)
        again = view.get_result(-1)
        again.wait()
        assert again.metadata.status == 'ok'
        rc.block = True
        try:
            assert rc.get_result(-1).done()
        finally:
            rc.block = False
        """,
    )


def test_2_31_names_of_modules(nb: Notebook) -> None:
    check(
        nb,
        """
        import ipyparallel, ipyparallel.client.view, ipyparallel.controller.dependency, ipyparallel.util
        from ipyparallel import Client, error, AsyncResult
        from ipyparallel.error import CompositeError, TimeoutError
        from ipyparallel.client.asyncresult import AsyncMapResult
        from ipyparallel.client.remotefunction import remote
        from ipyparallel.serialize import use_dill
        assert ipyparallel is ipp and CompositeError is ipp.CompositeError
        assert ipp.version_info >= (9,) and isinstance(ipp.__version__, str)
        for name in ipp.__all__:
            getattr(ipp, name)
        raises(ModuleNotFoundError, 'no_such', __import__, 'ipyparallel.no_such')
        import concurrent.futures
        assert ipp.FIRST_COMPLETED == concurrent.futures.FIRST_COMPLETED and ipp.util.interactive
        assert ipp.ALL_COMPLETED and ipp.FIRST_EXCEPTION
        from ipyparallel.serialize import (Reference, PrePickled, can, can_map, deserialize_object,
            pack_apply_message, serialize_object, uncan, uncan_map, unpack_apply_message)
        assert Reference is ipp.Reference and PrePickled is ipp.PrePickled
        raises(ImportError, 'nothing_there', exec, 'from ipyparallel.serialize import nothing_there')
        """,
    )


def test_2_34_spinning(nb: Notebook) -> None:
    check(
        nb,
        """
        import warnings
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            rc.spin(), rc.spin_thread(), rc.stop_spin_thread(), dview.spin()
        assert [one.category for one in caught] == [DeprecationWarning] * 4
        """,
    )


def test_engines_refuse_a_client_of_their_own(nb: Notebook) -> None:
    check(nb, "raises(ipp.RemoteError, 'OSError.*engine', rc[0].apply_sync, ipp.Client)")


def test_a_forked_child_is_told_that_it_has_no_connection(nb: Notebook) -> None:
    check(
        nb,
        """
        import os
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                dview.apply_async(int)
            except Exception as error:
                os.write(write, type(error).__name__.encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert os.read(read, 100) == b'KernelError'
        """,
    )


def test_2_32_dask_is_refused_with_a_word(nb: Notebook) -> None:
    check(
        nb,
        """
        for name in ('become_dask', 'stop_dask', 'become_distributed', 'stop_distributed'):
            raises(NotImplementedError, 'register_joblib_backend', getattr(rc, name))
        """,
    )
