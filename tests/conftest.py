"""Kernels for tests: one that a module's tests share, and what is left behind is looked for at the end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from headless import assert_nothing_is_left, environment_with
from notebook import Notebook, descendants, wait_until_gone


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
