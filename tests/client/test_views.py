"""Direct views on real engines. Numbers are rows of the reference."""

from __future__ import annotations

from pathlib import Path

import pytest

from notebook import Notebook, lines
from notebooks import START, check


@pytest.fixture(scope="module", autouse=True)
def start(nb: Notebook) -> None:
    check(nb, START)


def test_3_01_targets_say_how_many_results_there_are(nb: Notebook) -> None:
    check(
        nb,
        """
        assert rc[2].apply_sync(int) == 0
        assert rc[[2]].apply_sync(int) == [0]
        assert rc[1:3].apply_sync(int) == [0, 0]
        assert rc.direct_view('all').apply_sync(int) == [0] * 4
        view = rc[:]
        view.targets = [1, 3]
        assert view.pull('mpi_rank', block=True) == [1, 3]
        view.targets = 2
        assert view.pull('mpi_rank', block=True) == 2
        view.targets = None
        assert view.pull('mpi_rank', block=True) == [0, 1, 2, 3]
        assert rc[3, 1].pull('mpi_rank', block=True) == [3, 1]
        twice = rc[[1, 0, 1]]
        assert len(twice) == 3 and twice.pull('mpi_rank', block=True) == [1, 0, 1]
        twice.execute('times = 0', block=True)
        counted = twice.execute('times += 1', block=True)
        assert len(set(counted.msg_ids)) == 3 and rc[:2]['times'] == [1, 1] or rc[:2]['times'] == [1, 2]
        """,
    )


def test_3_01_a_view_of_no_engine_does_nothing_and_says_so(nb: Notebook) -> None:
    check(
        nb,
        """
        none = rc[4:]
        for call in (lambda: none.apply_async(int), lambda: none.execute('1'), lambda: none.push({'a': 1}),
                     lambda: none.pull('a'), lambda: none.map(int, range(5)), lambda: none.gather('a'),
                     lambda: none.scatter('a', range(5)), lambda: rc[[]].apply_sync(int)):
            raises(ValueError, 'there is no engine at', call)
        """,
    )


def test_3_01_a_number_of_numpys_is_one_engine(nb: Notebook) -> None:
    check(
        nb,
        """
        import numpy as np
        for engine in np.arange(2):
            assert dview.pull('mpi_rank', targets=engine, block=True) == engine
            assert rc[engine].apply_sync(int) == 0 and len(rc.direct_view(engine)) == 1
        """,
    )


def test_3_02_flags(nb: Notebook) -> None:
    check(
        nb,
        """
        view = rc[:]
        assert view.block is False and view.track is False and view.label is None
        rc.block = True
        assert rc[:].block is True
        rc.block = False
        """,
    )


def test_3_03_labels(nb: Notebook) -> None:
    check(
        nb,
        """
        view = rc[:]
        view.label = 'mine'
        ar = view.apply(int)
        ar.get()
        assert ar.label == ['mine'] * 4
        one = rc[0].execute('1', label='other'); one.get()
        assert one.label == 'other'
        lview = rc.load_balanced_view()
        lview.label = 'balanced'
        balanced = lview.apply(int); balanced.get()
        mapped = lview.map(int, [1, 2], label='mapped'); mapped.get()
        parallel = lview.parallel(block=False)(len)([1, 2, 3]); parallel.get()
        other = ipp.Client()
        def ids(label): return {record['msg_id'] for record in other.db_query({'label': label})}
        assert ids('mine') == set(ar.msg_ids) and ids('other') == set(one.msg_ids)
        assert ids('balanced') == {*balanced.msg_ids, *parallel.msg_ids}
        assert ids('mapped') == set(mapped.msg_ids)
        found = other.get_result(one.msg_ids[0]); found.get()
        assert found.label == 'other'
        """,
    )


def test_3_04_apply(nb: Notebook) -> None:
    check(
        nb,
        """
        def takes_f(f=None, *args, **kwargs): return f, args, kwargs
        assert rc[0].apply_sync(takes_f, f=5) == (5, (), {})
        assert rc[0].apply_sync(takes_f, 1, 2, k=3) == (1, (2,), {'k': 3})
        assert isinstance(dview.apply_async(int), ipp.AsyncResult)
        assert isinstance(dview.apply(int), ipp.AsyncResult)
        error = raises(ipp.CompositeError, 'not callable', dview.apply_sync, 5)
        assert len(error.elist) == 4
        """,
    )


def test_3_05_map(nb: Notebook) -> None:
    check(
        nb,
        """
        assert dview.map_sync(lambda x: 2 * x, range(10)) == list(range(0, 20, 2))
        assert dview.map_sync(lambda x, y: x + y, [1, 2, 3], range(100)) == [1, 3, 5]
        assert dview.map_sync(str, (n for n in range(3))) == ['0', '1', '2']
        assert dview.map(str, []) == []
        assert list(dview.imap(str, range(5))) == list('01234')
        assert isinstance(dview.map_async(str, range(5)), ipp.AsyncMapResult)
        raises(AssertionError, 'sequences', dview.map, str)
        raises(TypeError, 'block', dview.map_sync, str, [1], block=False)
        raises(TypeError, 'block', dview.map_async, str, [1], block=False)
        """,
    )


def test_3_05_parts_beside_one_that_failed_are_as_they_are(nb: Notebook) -> None:
    check(
        nb,
        """
        @dview.parallel(block=True, return_exceptions=True)
        def total(part): return sum(1 / x for x in part)
        @dview.parallel(block=True, return_exceptions=True)
        def text(part): return 'text' if part[0] else 1 / 0
        for parts, others in ((total(range(8)), float), (text(range(8)), str)):
            assert isinstance(parts[0], ipp.RemoteError) and len(parts) == 4, parts
            assert all(isinstance(part, others) for part in parts[1:])
        """,
    )


def test_3_06_wait(nb: Notebook) -> None:
    check(
        nb,
        """
        view = rc[:]
        ar = view.apply(int)
        assert view.wait() is True and ar.done() and view.outstanding == set()
        assert view.wait(ar) is True and rc.wait([ar]) is True and rc.wait() is True
        assert view.history == ar.msg_ids
        import os, tempfile
        gate = os.path.join(tempfile.mkdtemp(), 'gate'); os.mkfifo(gate)
        held = view.client[1].apply_async(lambda path: open(path).read(), gate)
        behind = view.apply_async(int)
        assert view.wait(timeout=0.1) is False and rc.wait(behind.msg_ids, timeout=0.1) is False
        open(gate, 'w').close(); held.get()
        assert view.wait() is True
        lview = rc.load_balanced_view()
        lview.map_sync(lambda x: x, range(1100))
        assert lview.wait() is True and rc.wait(lview.history[0]) is True, 'the kernel remembers 1024'
        rc.purge_everything()
        assert lview.wait() is True and view.wait() is True
        raises(KeyError, 'no task', rc.wait, 'never-was')
        """,
    )


def test_3_08_and_09_setting_flags(nb: Notebook) -> None:
    check(
        nb,
        """
        view = rc[:]
        assert view.set_flags(block=True) is view and view.block is True
        raises(KeyError, "Invalid name: 'x'", view.set_flags, x=1)
        with view.temp_flags(block=False, targets=[1]):
            assert view.block is False and view.targets == [1]
        assert view.block is True and view.targets == [0, 1, 2, 3]
        """,
    )


def test_3_10_and_43_remote(nb: Notebook) -> None:
    check(
        nb,
        """
        @dview.remote(block=True)
        def f(x, y=1):
            "Adds."
            return x + y + mpi_rank
        assert f(1) == [2, 3, 4, 5] and f.__name__ == 'f' and 'wrapping' in f.__doc__
        import inspect
        assert list(inspect.signature(f).parameters) == ['x', 'y']
        g = ipp.remote(rc[1], block=True)(lambda: mpi_rank)
        assert g() == 1 and isinstance(g, ipp.RemoteFunction)
        assert isinstance(dview.remote(block=False)(int)(), ipp.AsyncResult)
        """,
    )


def test_3_44_parallel(nb: Notebook) -> None:
    check(
        nb,
        """
        import warnings
        @dview.parallel(block=True)
        def double(part): return [2 * x for x in part]
        assert double(list(range(10))) == list(range(0, 20, 2))
        @ipp.parallel(dview, block=True)
        def add(x, y): return x + y
        assert add.map([1, 2, 3], [4, 5, 6]) == [5, 7, 9]
        raises(ValueError, 'all sequences must have equal length, but have', add, [1], [1, 2])
        assert dview.parallel('r', block=True)(lambda p: p)(list(range(10))) == list(range(10))
        assert double(x for x in range(5)) == [0, 2, 4, 6, 8]
        from collections import deque
        assert double(deque([1, 2])) == [2, 4] and sorted(double({1, 2})) == [2, 4]
        def inverse(part): return [1 // x for x in part]
        raises(ipp.CompositeError, 'ZeroDivision', dview.parallel(block=True)(inverse), [0, 1])
        half = dview.parallel(block=True, return_exceptions=True)(inverse)
        assert [type(one) for one in half([0, 1])] == [ipp.RemoteError, int]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            ipp.ParallelFunction(dview, int, chunksize=5)
        assert len(caught) == 1 and 'chunksize' in str(caught[0].message)
        """,
    )


def test_3_11_to_13_members(nb: Notebook) -> None:
    check(
        nb,
        """
        assert repr(rc[:]) == '<DirectView [0, 1, 2, 3]>' and repr(rc[2]) == '<DirectView 2>'
        assert repr(rc.direct_view('all')) == '<DirectView all>'
        assert repr(rc.load_balanced_view()) == '<LoadBalancedView None>'
        assert repr(rc.broadcast_view([0, 1])) == '<BroadcastView [0, 1]>'
        assert len(rc[:]) == 4 and len(rc[2]) == 1 and len(rc.load_balanced_view()) == 4
        assert dview.client is rc and dview.executor._max_workers == 4
        view = rc[:]
        ar = view.apply(int); ar.get()
        assert view.get_result(-1).get() == 0
        view.targets = list(range(4)) * 3
        assert repr(view) == '<DirectView [0, 1, 2, 3,...]>'
        raises(NotImplementedError, 'alone', rc[2].shutdown)
        """,
    )


def test_3_15_execute(nb: Notebook) -> None:
    check(
        nb,
        """
        ar = dview.execute('a = 5')
        assert isinstance(ar, ipp.AsyncResult) and repr(ar).startswith('<AsyncResult(execute):')
        assert isinstance(dview.execute('b = 6', block=True), ipp.AsyncResult)
        assert dview.pull('a', block=True) == [5] * 4
        raises(TypeError, "code must be text, not <class 'int'>", dview.execute, 5)
        raises(ipp.CompositeError, 'execute.*ZeroDivisionError', dview.execute, '1/0', block=True)
        raises(ipp.RemoteError, 'NameError', rc[0].execute, 'nope', block=True)
        """,
    )


def test_3_16_run(nb: Notebook, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("ran = mpi_rank\nprint('ran')")
    cell = check(
        nb, f"ar = dview.run({str(script)!r}); ar.display_outputs()\nassert dview['ran'] == [0, 1, 2, 3]"
    )
    assert cell.stdout == lines("ran")


def test_3_17_push(nb: Notebook) -> None:
    check(
        nb,
        """
        assert dview.push({'p': 1, 'q': [1]}, block=True) == [None] * 4
        assert dview.pull(['p', 'q'], block=True) == [[1, [1]]] * 4
        raises(TypeError, "Must be a dict, not <class 'list'>", dview.push, [1])
        dview.execute('class A: pass\\na = A()\\nlist_ = [0]', block=True)
        dview.block = True
        dview['a.b'] = 0
        dview['list_[0]'] = 7
        dview.block = False
        assert dview['a.b'] == [0] * 4 and dview['list_[0]'] == [7] * 4
        """,
    )


def test_3_18_pull(nb: Notebook) -> None:
    check(
        nb,
        """
        dview.push({'n': 3}, block=True)
        assert dview.pull('n * 2', block=True) == [6] * 4
        assert dview.pull(('n', 'n + 1', ' n '), targets=1, block=True) == [3, 4, 3]
        # Looked up where an expression would find it: a keyword is no name, `len` is Python's until bound.
        dview.execute("globals()['None'] = 5", block=True)
        assert dview.pull(('None', 'len'), targets=1, block=True) == [None, len]
        assert dview.push({'len': 6}, block=True) and dview.pull('len', block=True) == [6] * 4
        dview.execute("del len, globals()['None']", block=True)
        raises(TypeError, 'names must be strs, not 5', dview.pull, 5)
        raises(ipp.CompositeError, 'NameError', dview.pull, 'nope', block=True)
        assert repr(dview.pull('n')).startswith('<AsyncResult(_pull):')
        """,
    )


def test_3_19_as_a_dict(nb: Notebook) -> None:
    check(
        nb,
        """
        dview['k'] = 4
        assert dview['k'] == [4] * 4 == dview.get('k')
        assert isinstance(dview.update({'k': 5}), ipp.AsyncResult)
        assert dview['k'] == [5] * 4
        """,
    )


def test_3_20_and_21_scatter_and_gather(nb: Notebook) -> None:
    check(
        nb,
        """
        assert dview.scatter('s', list(range(6)), block=True) is None
        assert dview['s'] == [[0, 1], [2, 3], [4], [5]]
        assert dview.gather('s', block=True) == list(range(6))
        assert dview.gather('s', block=True).get() == list(range(6))
        assert repr(dview.gather('s', block=True)) == repr(list(range(6)))
        dview.execute("name = f'n{mpi_rank}'; raw = b'x'", block=True)
        assert dview.gather('name', block=True) == ['n0', 'n1', 'n2', 'n3']
        assert dview.gather('raw', block=True) == [b'x'] * 4 and dview.gather('name').get()[3] == 'n3'
        assert dview.parallel(block=True)(lambda part: f'{len(part)}')(range(6)) == ['2', '2', '1', '1']
        result = dview.gather('s')
        assert isinstance(result, ipp.AsyncMapResult) and result.get() == list(range(6))
        dview.scatter('f', list(range(4)), flatten=True, block=True)
        assert dview['f'] == [0, 1, 2, 3] == dview.gather('f', block=True)
        dview.scatter('r', range(10), block=True)
        assert dview.gather('r', block=True) == list(range(10))
        raises(ipp.CompositeError, 'SyntaxError', dview.scatter, 'not a name', [1, 2, 3, 4], block=True)
        import numpy as np
        for array in (np.arange(10), np.arange(24.).reshape(6, 4), np.arange(60).reshape(5, 3, 4)):
            dview.scatter('x', array, block=True)
            assert (dview.gather('x', block=True) == array).all()
        """,
    )


def test_3_21_large_arrays_are_gathered_in_place(nb: Notebook) -> None:
    check(
        nb,
        """
        import gc, os, numpy as np
        def files():
            gc.collect()
            names = [f'/proc/self/fd/{n}' for n in os.listdir('/proc/self/fd')]
            return sum('memfd:parallel-python' in os.readlink(name) for name in names if os.path.islink(name))
        before = files()
        for array in (np.arange(3_000_001), np.arange(9_000_003, dtype='i2').reshape(-1, 3),
                      np.arange(2_500_000.).view(complex), np.arange(20_000_007) % 2 == 0):
            dview.scatter('x', array, block=True)
            back = dview.gather('x', block=True)
            assert back.dtype == array.dtype and (back == array).all()
            back += back
            assert (dview.gather('x', block=True) == array).all(), 'what was gathered is a copy'
        assert files() == before, 'what it was written into is closed'
        # Each engine evaluates an expression once, whatever it gives.
        dview.execute('import numpy as np; calls = 0')
        dview.execute('def made(n):\\n    global calls; calls += 1\\n    return np.full(n, mpi_rank)')
        assert (dview.gather('made(800_000)', block=True) == np.repeat(range(4), 800_000)).all()
        assert dview['calls'] == [1] * 4
        # Some of it large; not of one kind; with other columns; out of order.
        mixed = dview.gather('made(2_500_000) if mpi_rank % 2 else np.arange(2)', block=True)
        assert len(mixed) == 5_000_004 and list(mixed[:3]) == [0, 1, 1] and dview['calls'] == [1, 2, 1, 2]
        kinds = dview.gather("np.ones(900_000, dtype='f8' if mpi_rank else 'f4')", block=True)
        assert kinds.dtype == 'f8' and len(kinds) == 3_600_000
        raises(ValueError, 'must match exactly', dview.gather, 'np.ones((900_000, mpi_rank + 1))', block=True)
        assert (rc[[3, 1]].gather('made(2_500_000)', block=True) == np.repeat([3, 1], 2_500_000)).all()
        assert (rc[[2, 2]].gather('made(2_500_000)', block=True) == 2).all()
        fails = 'made(2_500_000) if mpi_rank % 2 else 1 // 0'
        raises(ipp.CompositeError, 'ZeroDivisionError', dview.gather, fails, block=True)
        left = "len(__import__('parallel_python.engine.parts').engine.parts._offered)"
        assert dview[left] == [0] * 4, 'nothing is held'
        # One has no memory for its part.
        limit = 'import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({}, -1))'
        rc[2].execute(limit.format(1 << 20), block=True)
        known = set(rc.metadata)
        kept = raises(ipp.CompositeError, 'no memory for 20 MB', dview.gather, 'made(2_500_000)', block=True)
        assert files() == before, 'a traceback holds no memory'
        rc[2].execute(limit.format(-1), block=True)
        assert (dview.gather('made(2_500_000)', block=True) == np.repeat(range(4), 2_500_000)).all()
        while set(rc.metadata) - known: pass
        """,
    )


def test_3_22_dealt_out(nb: Notebook) -> None:
    check(
        nb,
        """
        import numpy as np
        dview.scatter('d', list(range(6)), dist='r', block=True)
        assert dview['d'] == [[0, 4], [1, 5], [2], [3]]
        assert dview.gather('d', dist='r', block=True) == list(range(6))
        dview.scatter('d', range(7), dist='r', block=True)
        assert dview.gather('d', dist='r', block=True) == list(range(7))
        array = np.arange(14).reshape(7, 2)
        dview.scatter('d', array, dist='r', block=True)
        back = dview.gather('d', dist='r', block=True)
        assert back.dtype == array.dtype and (back == array).all()
        """,
    )


def test_3_23_map_keeps_order_and_errors(nb: Notebook) -> None:
    check(
        nb,
        """
        ar = dview.map(lambda x: x, range(10))
        assert len(ar) == 10 and list(ar) == list(range(10))
        values = dview.map_sync(lambda x: 1 // x, [0, 1, 1, 1], return_exceptions=True)
        assert isinstance(values[0], ipp.RemoteError) and values[1:] == [1, 1, 1]
        raises(ipp.CompositeError, 'ZeroDivisionError', dview.map_sync, lambda x: 1 // x, [0, 1, 1, 1])
        assert dview.map(str, [1], label='named').label == ['named']
        """,
    )


def test_3_24_clear(nb: Notebook) -> None:
    check(
        nb,
        """
        dview.push({'gone': 1}, block=True)
        dview.clear(block=True)
        raises(ipp.CompositeError, 'NameError', dview.pull, 'gone', block=True)
        assert dview.pull('mpi_rank', block=True) == [0, 1, 2, 3]
        """,
    )


def test_3_25_imports(nb: Notebook) -> None:
    cell = check(
        nb,
        """
        with dview.sync_imports():
            import json
            from os import path
        with dview.importer:
            import json
        with dview.sync_imports(quiet=True):
            import string
        assert dview.apply_sync(lambda: json.dumps(path.join('a', string.digits)))
        raises(NotImplementedError, 'here', dview.sync_imports, local=False)
        # In a module's function, too, and of nobody else.
        import sys, types, threading
        module = types.ModuleType('of_mine'); sys.modules['of_mine'] = module
        code = 'def bring(view, more):\\n with view.sync_imports(quiet=True):\\n  import colorsys; more()'
        exec(code, module.__dict__)
        def other_thread():
            def work(): import chunk_of_nobody
            sys.modules['chunk_of_nobody'] = types.ModuleType('chunk_of_nobody')
            thread = threading.Thread(target=work); thread.start(); thread.join()
        module.bring(dview, other_thread)
        names = dview.apply_sync(lambda: ('colorsys' in globals(), 'chunk_of_nobody' in globals()))
        assert names == [(True, False)] * 4
        """,
    )
    assert cell.stdout == (
        "importing json on engine(s)\nimporting path from os on engine(s)\nimporting json on engine(s)\n"
    )


@pytest.mark.parametrize("serializer", ["dill", "cloudpickle"])
def test_3_26_serializers(nb: Notebook, serializer: str) -> None:
    pytest.importorskip(serializer)
    check(
        nb,
        f"""
        dview.use_{serializer}().get()
        try:
            y = 5
            assert dview.apply_sync((lambda k: lambda x: x + k)(y), 3) == [8] * 4
            import numpy as np
            assert dview.apply_sync(lambda a: float(a.sum()), np.ones(100_000)) == [1e5] * 4
        finally:
            dview.use_pickle().get()
        assert dview.apply_sync(lambda x: x, 3) == [3] * 4
        """,
    )


def test_3_28_to_31_broadcast(nb: Notebook) -> None:
    check(
        nb,
        """
        view = rc.broadcast_view()
        view.block = True
        view['b'] = 3
        assert view['b'] == [3] * 4 and view.apply_sync(lambda: mpi_rank) == [0, 1, 2, 3]
        view.scatter('c', list(range(8)))
        assert view.gather('c') == list(range(8)) and view.map(str, range(5)) == list('01234')
        for coalescing in (False, True):
            view = rc.broadcast_view([3, 1, 0], is_coalescing=coalescing)
            assert view.apply_sync(lambda: mpi_rank) == [3, 1, 0]
            raises(ipp.CompositeError, 'ZeroDivision', view.apply_sync, lambda: 1 / (mpi_rank - 1))
        assert view.execute('1', label='mine', block=True).label == ['mine'] * 3
        ar = view.apply_async(int); ar.get()
        assert ar.is_broadcast == [True] * 3 and ar.is_coalescing == [True] * 3
        """,
    )


def test_3_45_references(nb: Notebook) -> None:
    check(
        nb,
        """
        dview.execute('a = 10 + mpi_rank\\nf = lambda x: x + 1', block=True)
        assert dview.apply_sync(lambda x: x, ipp.Reference('a')) == [10, 11, 12, 13]
        assert dview.apply_sync(ipp.Reference('f'), 1) == [2] * 4
        assert dview.apply_sync(sum, [ipp.Reference('a'), 1]) == [11, 12, 13, 14]
        assert dview.apply_sync(lambda d: d['k'], {'k': ipp.Reference('a * 2')}) == [20, 22, 24, 26]
        assert repr(ipp.Reference('a')) == "<Reference: 'a'>"
        dview.push({'ref': ipp.Reference('a')}, block=True)
        assert dview['ref'] == [10, 11, 12, 13]
        """,
    )


def test_3_46_interactive(nb: Notebook) -> None:
    check(
        nb,
        """
        import types, sys
        module = types.ModuleType('not_there'); sys.modules['not_there'] = module
        exec('def f(): return mpi_rank', module.__dict__)
        assert dview.apply_sync(ipp.interactive(module.f)) == [0, 1, 2, 3]
        @ipp.interactive
        class C:
            def m(self): return mpi_rank
        assert dview.apply_sync(lambda c: c.m(), C()) == [0, 1, 2, 3]
        exec('import json\\ntold = 1\\ndef g(): return told, json.dumps(1)', module.__dict__)
        told, json = 2, __import__('json')
        local = ipp.interactive(module.g)
        assert local() == (2, '1') and module.g() == (1, '1'), 'here they are the notebooks'
        dview.push({'told': 3}, block=True)
        del json
        assert dview.apply_sync(local) == [(3, '1')] * 4, 'modules that it names come along'
        """,
    )


def test_3_47_require(nb: Notebook) -> None:
    check(
        nb,
        """
        def needed(x): return x + 1
        @ipp.require('json', needed, other=4)
        def f(): return json.dumps([needed(1), other])
        assert rc[0].apply_sync(f) == '[2, 4]'
        @ipp.require('no_such_module')
        def g(): pass
        raises(ipp.RemoteError, 'UnmetDependency', rc[0].apply_sync, g)
        raises(TypeError, '__name__', ipp.require, 5)
        """,
    )


def test_3_48_depend(nb: Notebook) -> None:
    check(
        nb,
        """
        @ipp.depend(lambda n: mpi_rank == n, 2)
        def f(): return mpi_rank
        assert rc[2].apply_sync(f) == 2
        raises(ipp.RemoteError, 'UnmetDependency', rc[1].apply_sync, f)
        """,
    )


def test_3_51_data_while_it_runs(nb: Notebook) -> None:
    check(
        nb,
        """
        def publishes():
            from ipyparallel.datapub import publish_data
            publish_data({'step': 1, 'rank': mpi_rank})
            publish_data({'step': 2})
        ar = dview.apply_async(publishes)
        ar.get()
        assert ar.data == [{'step': 2, 'rank': rank} for rank in range(4)]
        """,
    )


def test_3_52_and_53_rare_names(nb: Notebook) -> None:
    check(
        nb,
        """
        code = 'import ipyparallel; ipyparallel.bind_kernel()'
        raises(ipp.RemoteError, 'NotImplementedError', rc[0].execute, code, block=True)
        f, args, kwargs = ipp.unpack_apply_message(ipp.pack_apply_message(lambda x: x, (3,), {}))
        assert f(*args) == 3
        assert ipp.deserialize_object(ipp.serialize_object([1, 'a']))[0] == [1, 'a']
        assert rc[0].apply_sync(lambda x: x, ipp.PrePickled([1, 2])) == [1, 2]
        assert ipp.uncan(ipp.can(len))([1]) == 1
        """,
    )


def test_3_54_executors(nb: Notebook) -> None:
    check(
        nb,
        """
        with dview.executor as executor:
            assert executor.submit(int, 4).result() == [4] * 4
            assert list(executor.map(str, range(4))) == list('0123')
        assert dview.apply_sync(int) == [0] * 4, 'the engines go on'
        """,
    )


def test_arrays_arrive_writable_and_are_the_engines_own(nb: Notebook) -> None:
    check(
        nb,
        """
        import numpy as np
        big, small = np.zeros(1_000_000), np.zeros(10)
        dview.push({'big': big, 'small': small}, block=True)
        def change():
            big[0] = small[0] = mpi_rank + 1
            return big[:2].copy(), small[:2].copy()
        for rank, (b, s) in enumerate(dview.apply_sync(change)):
            assert b.tolist() == s.tolist() == [rank + 1, 0]
        assert big[0] == small[0] == 0
        pulled = rc[0].pull('big', block=True)
        pulled[0] = 9
        assert rc[0].pull('big[0]', block=True) == 1
        """,
    )


def test_classes_of_the_notebook_are_the_same_class_when_they_come_back(nb: Notebook) -> None:
    check(
        nb,
        """
        from dataclasses import dataclass
        @dataclass
        class Point:
            x: float
            def moved(self, by): return Point(self.x + by)
        def make(): return Point(mpi_rank)
        points = dview.apply_sync(make)
        assert points == [Point(n) for n in range(4)] and all(type(point) is Point for point in points)
        assert dview.apply_sync(lambda point: point.moved(1), Point(2)) == [Point(3)] * 4
        """,
    )


def test_a_value_that_cannot_be_sent_is_named(nb: Notebook) -> None:
    check(
        nb,
        """
        import pickle, threading
        lock = threading.Lock()
        where = r"argument 2 cannot be sent: argument 2\\['lock'\\] is of type `_thread.lock`"
        raises(pickle.PicklingError, where, dview.apply, lambda *a: 1, 1, {'lock': lock})
        raises(pickle.PicklingError, r"x cannot be sent: x\\[0\\] is of type", dview.push, {'x': [lock]})
        # Its place is that in the whole, however it was divided.
        several = [*range(7), [lock], 8]
        place = r"w cannot be sent: w\\[7\\]\\[0\\] is of type `_thread.lock`"
        for dist in 'br':
            raises(pickle.PicklingError, place, dview.scatter, 'w', iter(several), dist=dist)
        place = r"argument 2 cannot be sent: argument 2\\[7\\]\\[0\\] is of type `_thread.lock`"
        for view in dview, lview, rc.broadcast_view():
            raises(pickle.PicklingError, place, view.map, max, range(9), several)
        raises(pickle.PicklingError, place, lview.map, max, range(9), several, chunksize=5)
        raises(ipp.RemoteError, r"the result is of type `_thread.lock`", rc[0].apply_sync, threading.Lock)
        """,
    )


def test_tracebacks_show_the_users_lines_alone(nb: Notebook) -> None:
    check(nb, "def divides(x):\n    return 1 / x")
    error = nb.fails("dview.apply_sync(divides, 0)").error
    assert "----> 2     return 1 / x" in error and "ZeroDivisionError: division by zero" in error
    assert "operations.py" not in error and error.count("[0:apply]") == 2
    error = nb.fails("rc[9]").error
    assert "IndexError: No such engine: 9" in error and "parallel_python" not in error


def test_the_stop_button_ends_what_waits(nb: Notebook) -> None:
    check(nb, "def sleeps():\n    import time\n    time.sleep(60)")
    for code in ("go(); dview.apply_sync(sleeps)", "ar = dview.apply_async(sleeps); go(); ar.get()"):
        cell = nb.interrupt_when(f"go = lambda: print('go', flush=True)\n{code}", "go")
        assert cell.status == "error" and cell.reply["content"]["ename"] == "KeyboardInterrupt"
    check(
        nb,
        """
        assert not ar.done(), 'whoever holds the result may wait again'
        rc._interrupt(ar)
        # Where it has not begun, because the machine is busy, it never will.
        raises(ipp.CompositeError, 'KeyboardInterrupt|TaskAborted', ar.get)
        """,
    )
    assert nb.ok("%px print('hi')").stdout == lines("hi")


def test_1_07_and_2_09_activation(nb: Notebook) -> None:
    cell = check(
        nb,
        """
        magics = get_ipython().magics_manager.magics
        view = rc.activate([1, 2], '_some')
        assert view.block is True and view.targets == [1, 2]
        assert 'px_some' in magics['line'] and 'px_some' in magics['cell'] and 'autopx_some' in magics['line']
        rc.activate()
        assert magics['cell']['px'].__self__.view.client is rc
        """,
    )
    assert cell.stdout == ""
    assert nb.ok("%px_some print('hi')").stdout == lines("hi", [1, 2])
    check(nb, "view.targets = [3]")
    assert nb.ok("%%px_some\nprint('hi')").stdout == lines("hi", [3])
    assert nb.ok("%px print('hi')").stdout == lines("hi")
