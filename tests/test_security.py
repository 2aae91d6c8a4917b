"""Nobody but the user reaches a kernel's processes, and nothing secret is where others can read it."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from jupyter_client.manager import KernelManager

from notebook import KERNEL, Notebook, descendants, lines

NOBODY = 65534
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")


def runtime_folder(nb: Notebook) -> Path:
    """The folder that the engines' supervisors were told of."""
    nb.ok("%px pass", timeout=120)
    for pid in descendants(nb.pid):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if b"--config" in words:
            return Path(os.fsdecode(words[words.index(b"--config") + 1])).parent
    raise AssertionError("no process was given a configuration")


def as_nobody(action: Callable[[], str]) -> str:
    """Do something as another user, in a child, and return what came of it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            os.write(writing, action().encode())
        except BaseException as error:
            os.write(writing, type(error).__name__.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


def connect(path: Path) -> str:
    """Connect, say something that is not a hello, and return what comes back."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(path))
        try:
            client.sendall(b"\x01\0\0\0\0")
            return f"answer {client.recv(100)!r}"
        except ConnectionError:
            return "answer b''"


def test_everything_in_the_runtime_folder_is_the_owners_alone(nb: Notebook) -> None:
    folder = runtime_folder(nb)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700 and folder.stat().st_uid == os.getuid()
    entries = {entry.name: entry.lstat() for entry in folder.iterdir()}
    assert {"engines.sock", "engines.json"} <= set(entries)
    for name, found in entries.items():
        assert stat.S_ISDIR(found.st_mode) or stat.S_IMODE(found.st_mode) == 0o600, name


@NEEDS_ROOT
def test_another_user_reaches_no_socket(nb: Notebook) -> None:
    path = runtime_folder(nb) / "engines.sock"
    assert as_nobody(lambda: connect(path)) == "PermissionError"
    # And if the folder were open, the kernel would look who it is.
    path.parent.chmod(0o711)
    path.chmod(0o666)
    try:
        assert as_nobody(lambda: connect(path)) == "answer b''"
        assert connect(path) == "answer b''", "of the same user, but it does not speak the protocol"
    finally:
        path.chmod(0o600)
        path.parent.chmod(0o700)
    assert nb.ok("%px print('well')").stdout == lines("well")


@NEEDS_ROOT
def test_another_user_reads_no_process(nb: Notebook) -> None:
    for pid in descendants(nb.pid) | {nb.pid}:
        assert as_nobody(Path(f"/proc/{pid}/environ").read_text) == "PermissionError"


def test_no_process_carries_the_key_where_others_can_see_it(nb: Notebook) -> None:
    key = json.loads(Path(nb.manager.connection_file).read_text())["key"].encode()
    assert len(key) >= 16
    folder = runtime_folder(nb)
    for pid in descendants(nb.pid) | {nb.pid}:
        for name in ("cmdline", "environ"):
            assert key not in Path(f"/proc/{pid}/{name}").read_bytes(), f"{name} of {pid}"
    assert key not in (folder / "engines.json").read_bytes()


def test_sockets_over_ipc_are_the_owners_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    manager = KernelManager(kernel_name=KERNEL, transport="ipc", ip="k")
    with Notebook.of(manager, engines=1) as nb:
        sockets = [path for path in tmp_path.iterdir() if path.is_socket()]
        assert len(sockets) == 5
        assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in sockets} == {0}
        # What cells make is subject to the user's own mask.
        mask = os.umask(0o022)
        os.umask(mask)
        assert nb.ok("import os; print(os.umask(0))").stdout.strip() == str(mask)
