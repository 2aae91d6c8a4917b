"""What code catches when a magic in it fails. Rows 6.05 and 6.06 of the reference."""

from __future__ import annotations

import pytest

from notebook import Notebook
from notebooks import START, check


@pytest.fixture(scope="module", autouse=True)
def start(nb: Notebook) -> None:
    check(nb, START)


def test_6_06_errors_of_px_are_caught_by_their_class(nb: Notebook) -> None:
    check(
        nb,
        """
        try:
            %px assert mpi_rank != 2
        except ipp.RemoteError as error:
            first = error
        assert isinstance(first, ipp.CompositeError) and type(first).__name__ == 'CompositeError'
        [(ename, evalue, traceback, info)] = first.elist
        assert ename == 'AssertionError' and 'AssertionError' in traceback
        assert info == {'engine_id': 2, 'method': 'execute'}
        assert str(first) == 'one or more exceptions raised in: %px\\n[2:execute]AssertionError: '
        raises(ipp.RemoteError, 'AssertionError', first.raise_exception)
        import pickle
        again = pickle.loads(pickle.dumps(first))
        assert type(again) is ipp.CompositeError and again.elist == first.elist
        try:
            %px 1 / (mpi_rank - 1) if mpi_rank < 2 else unknown
        except ipp.CompositeError as error:
            assert [entry[0] for entry in error.elist] == ['ZeroDivisionError', 'NameError', 'NameError']
            assert error.args == ('ZeroDivisionError', 'NameError', 'NameError')
        """,
    )


def test_6_06_one_target_raises_a_remote_error(nb: Notebook) -> None:
    check(
        nb,
        """
        shell = get_ipython()
        error = raises(ipp.RemoteError, 'division', shell.run_cell_magic, 'px', '--targets 3', '1/0')
        assert not isinstance(error, ipp.CompositeError) and error.ename == 'ZeroDivisionError'
        assert error.engine_info['engine_id'] == 3 and 'ZeroDivisionError' in error.traceback
        shell.run_cell_magic('px', '--noblock', '1/0')
        error = raises(ipp.CompositeError, 'ZeroDivision', shell.run_line_magic, 'pxresult', '')
        assert len(error.elist) == 4
        import pickle
        assert type(pickle.loads(pickle.dumps(raises(ipp.RemoteError, '', shell.run_cell_magic, 'px',
                                                     '--targets 3', '1/0')))) is ipp.RemoteError
        """,
    )


def test_6_05_what_is_shown_stays_what_it_was(nb: Notebook) -> None:
    whole = nb.fails("%%px --targets 0\n1/0")
    inside = nb.fails("get_ipython().run_cell_magic('px', '--targets 0', '1/0')")
    assert inside.reply["content"]["ename"] == whole.reply["content"]["ename"] == "ZeroDivisionError"
    assert inside.reply["content"]["evalue"] == whole.reply["content"]["evalue"] == "division by zero"
    assert "failures.py" not in inside.error and inside.error.count("ZeroDivisionError") >= 1
