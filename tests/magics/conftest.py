"""A kernel whose defaults are the built-in ones again after each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from notebook import Notebook


@pytest.fixture(autouse=True)
def defaults(nb: Notebook) -> Iterator[None]:
    """Leave the defaults as they were."""
    yield
    nb.ok("%pxconfig --targets all --block --stream --progress-after 2 --no-verbose --no-collapse")
