"""What a cluster is called: by its profile and its id, by a key in addresses, by one word at a terminal.

``profile`` ``mpi`` and id ``x`` are ``mpi:x`` in both; the cluster of a profile that has no id is ``mpi:`` in
addresses and ``mpi`` at a terminal. (`parallel_python.client.registry` has the same for ``Client``.)
"""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path
from typing import NamedTuple


class Name(NamedTuple):
    """A cluster's name."""

    profile: str
    cluster_id: str

    @property
    def key(self) -> str:
        """Its last part of an address."""
        return f"{self.profile}:{self.cluster_id}"

    @property
    def word(self) -> str:
        """What ``parallel-python engines --profile`` calls it."""
        return self.key if self.cluster_id else self.profile

    @classmethod
    def of(cls, text: str) -> Name:
        """Return the name that a key or a word means."""
        profile, _, cluster_id = text.partition(":")
        return cls(profile, cluster_id)


def checked(part: object, what: str) -> str:
    """Return a profile or an id that may be part of a name.

    Raises
    ------
    ValueError
        When it may not.
    """
    if isinstance(part, str) and part.isprintable() and not set(part) & set(":/"):
        return part
    raise ValueError(f"{what} is a word without `:` and `/`, not {part!r}")


def profile_of(given: object) -> str:
    """Return the profile that is meant by a name, or by the folder of one of IPython's profiles.

    Raises
    ------
    ValueError
        When it is neither.
    """
    folder = Path(given).name if isinstance(given, str) and os.sep in given else ""
    return checked(folder.removeprefix("profile_") or given, "profile")


def fresh_id() -> str:
    """Return an id that no cluster has."""
    return f"{int(time.time())}-{secrets.token_hex(2)}"


def profiles() -> list[str]:
    """Return the profiles that there are for this user: IPython's, and ``default``."""
    home = Path(os.environ.get("IPYTHONDIR") or "~/.ipython").expanduser()
    found = {"default"}
    for folder in home.glob("profile_*"):
        try:
            found.add(profile_of(str(folder)))
        except ValueError:
            pass  # No set of engines can be called so.
    return sorted(found)
