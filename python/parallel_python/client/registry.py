"""Which sets of engines there are for a process that is no notebook's: those of this user, by name.

A set that runs without a notebook, and every notebook's kernel, has a small file in a folder of its user's.
**Invariant**: what is read was written by this user, and the process that listens is the one that wrote it: a
result is unpickled, so nobody else may give one.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple


class Entry(NamedTuple):
    """A set of engines."""

    profile: str
    kind: str
    pid: int
    socket: str
    engines: int
    started: float
    file: Path


def set_name(profile: str | None, cluster_id: str | None) -> str | None:
    """Return under which name a set is registered; None: no name was given."""
    return f"{profile or 'default'}:{cluster_id}" if cluster_id else profile


def split_name(name: str) -> tuple[str, str]:
    """Return the profile and the cluster id that a set was registered for; it may have no id."""
    profile, _, cluster_id = name.partition(":")
    return profile, cluster_id


def folder() -> Path:
    """Return the folder of the files."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_dir():
        return Path(runtime) / "parallel-python"
    return Path.home() / ".parallel-python" / "run"


def entries() -> list[Entry]:
    """Return the sets that are there, the oldest first."""
    return sorted(_alive(_read(path) for path in _files()), key=lambda entry: entry.started)


def find(name: str | None) -> Entry:
    """Return the set of a name.

    Parameters
    ----------
    name : str or None
        Its profile, or a connection file's stem for a notebook's engines. None: the set ``default``, else the
        only one there is.

    Raises
    ------
    OSError
        When there is none, or it is not clear which one is meant.
    """
    there = entries()
    # One that was started for its own sake goes first.
    there.sort(key=lambda entry: entry.kind != "headless")
    for entry in there:
        if entry.profile == (name or "default"):
            return entry
    if name is None and len(there) == 1:
        return there[0]
    known = ", ".join(repr(entry.profile) for entry in there) or "none"
    start = f"`parallel-python engines start -n 4 --profile {name or 'default'}` starts some"
    if name is None and there:
        raise OSError(f"which engines? Say `Client(profile=…)`: there are {known}; {start}")
    raise OSError(
        f"no engines of profile {name or 'default'!r} run for this user (there are: {known}); {start}"
    )


def at(path: str | os.PathLike[str]) -> Entry | None:
    """Return the set that a file describes, if it is one of these files and its set is there."""
    return next(_alive([_read(Path(path))]), None)


def _files() -> list[Path]:
    here = folder()
    try:
        told = here.stat()
    except OSError:
        return []
    if told.st_uid != os.geteuid() or stat.S_IMODE(told.st_mode) & 0o022:
        raise OSError(f"`{here}` may be written by others: what it says of engines cannot be trusted")
    return sorted(here.glob("*.json"))


def _read(path: Path) -> Entry | None:
    try:
        told = json.loads(path.read_bytes())
        known = {key: told[key] for key in ("profile", "kind", "pid", "socket", "engines", "started")}
        return Entry(**known, file=path)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # It has just gone, or is something else's.


def _alive(found: Iterable[Entry | None]) -> Iterator[Entry]:
    for entry in found:
        if entry is not None and _listener(entry.socket) == (entry.pid, os.geteuid()):
            yield entry


def _listener(path: str) -> tuple[int, int] | None:
    """Return the process and the user that listen at a socket."""
    with socket.socket(socket.AF_UNIX) as end:
        try:
            end.connect(path)
        except OSError:
            return None
        told = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, user, _ = struct.unpack("3i", told)
    return pid, user
