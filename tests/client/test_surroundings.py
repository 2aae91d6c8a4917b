"""What is around a client: engines that die, and an ipyparallel that is installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from notebook import Notebook, lines
from notebooks import START, check


def test_6_07_an_engine_that_dies_is_an_error_of_its_own() -> None:
    with Notebook(engines=3) as nb:
        check(nb, START, timeout=120)
        check(
            nb,
            """
            import os, signal
            def dies():
                if mpi_rank == 1:
                    os.kill(os.getpid(), signal.SIGKILL)
                return mpi_rank
            ar = dview.apply_async(dies)
            error = raises(ipp.CompositeError, r'\\[Engine Exception\\]EngineError: .*1', ar.get, 60)
            assert len(error.elist) == 1 and ar.get(return_exceptions=True)[::2] == [0, 2]
            assert ar.status == ['ok', 'error', 'ok']
            assert rc.ids == [0, 2] and rc[:].targets == [0, 2] and dview.targets == [0, 1, 2]
            assert rc[:].apply_sync(int) == [0, 0]
            raises(IndexError, r'No such engine: 1 \\(these have died: \\[1\\]', dview.apply, int)
            raises(ipp.EngineError, 'Engine 1 unregistered while waiting for engines', rc.wait_for_engines, 3)
            assert rc.load_balanced_view().map_sync(str, range(10)) == list('0123456789')
            """,
        )
        nb.ok("%engines restart", timeout=120)
        check(nb, "assert rc.ids == [0, 1, 2] and dview.apply_sync(int) == [0] * 3")
        assert nb.ok("%px print('hi')").stdout == lines("hi", range(3))


@pytest.mark.parametrize("installed", [False, True])
def test_whose_ipyparallel_it_is(tmp_path: Path, installed: bool) -> None:
    package = tmp_path / "ipyparallel"
    package.mkdir()
    (package / "__init__.py").write_text("theirs = True")
    environment = {"PYTHONPATH": str(tmp_path)}
    if installed:
        environment["PARALLEL_PYTHON_IPYPARALLEL"] = "installed"
    with Notebook(engines=1, arguments=["--engines", "lazy"], environment=environment) as nb:
        cell = nb.ok("import ipyparallel\nprint(hasattr(ipyparallel, 'theirs'))")
        assert cell.stdout == f"{installed}\n"
