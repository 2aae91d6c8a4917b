"""Kernels for tests: one that a module's tests share, and what is left behind is looked for at the end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from headless import assert_nothing_is_left, end_what_runs, environment_with
from notebook import Notebook, descendants, wait_until_gone


@pytest.fixture(scope="session", autouse=True)
def _nothing_runs_on() -> Iterator[None]:
    """End what tests that failed have left running: such engines belong to no process of the tests'."""
    yield
    end_what_runs()


@pytest.fixture(scope="module")
def nb() -> Iterator[Notebook]:
    """A kernel with four engines, up; at the end nothing of it may be left."""
    with Notebook(engines=4) as notebook:
        notebook.ok("%px pass", timeout=120)
        processes = descendants(notebook.pid) | {notebook.pid}
        yield notebook
    assert not wait_until_gone(processes, 10), "processes are left"


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment of its own, with nothing running in it before and nothing left after."""
    alone = environment_with(tmp_path / "run")
    yield alone
    assert_nothing_is_left(alone)
