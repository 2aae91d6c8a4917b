"""A client for the magics' own use, where the user has made none."""

from __future__ import annotations

from functools import lru_cache

from parallel_python.client.client import Client


@lru_cache(maxsize=1)
def quiet_client() -> Client:
    """Return the one client of the magics."""
    return Client()
