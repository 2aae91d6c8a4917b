"""Byte code of the package's modules, kept from one process for the next in the user's cache folder.

Compiling is most of the time that the package takes to import, and every engine of a start pays it at once.
**Invariants**: what is run was written by this user for this very source and this Python, in a folder that
nobody else can write to; where anything is not so, or cannot be read or written, modules are compiled, and
nobody hears of it. As Python does, it writes nothing when it is told not to (``PYTHONDONTWRITEBYTECODE``).

`_bootstrap` runs this file before the package can be imported; nothing here may import a part of it.
"""

from __future__ import annotations

import _imp
import marshal
import os
import stat
import sys
from types import CodeType

#: What the digests of files are made with; another one for another layout of them.
_KEY = 0x7061_7261_6C6C_6501

#: How many folders of other builds and Pythons stay when one is added.
_KEPT = 8

_DIGEST = 8


class CodeCache:
    """Compiled modules of one build of the package.

    Parameters
    ----------
    build : str
        A digest of all its source.
    """

    def __init__(self, build: str) -> None:
        self._name = f"{build}-{sys.implementation.cache_tag}-{sys.hexversion:x}"
        self._folder: str | None = None
        self._looked = False

    def load(self, module: str) -> CodeType | None:
        """Return a module's code, or None where there is none that can be trusted."""
        folder = self._open()
        if folder is None:
            return None
        try:
            with open(f"{folder}/{module}", "rb") as file:
                data = file.read()
        except OSError:
            return None
        if _imp.source_hash(_KEY, data[_DIGEST:]) != data[:_DIGEST]:
            return None
        code: CodeType = marshal.loads(memoryview(data)[_DIGEST:])
        return code

    def save(self, module: str, code: CodeType) -> None:
        """Keep a module's code, whole or not at all."""
        folder = self._open()
        if folder is None or sys.dont_write_bytecode:
            return
        data = marshal.dumps(code)
        fresh = f"{folder}/.{module}.{os.getpid()}"
        try:
            with open(fresh, "xb") as file:
                file.write(_imp.source_hash(_KEY, data) + data)
            os.replace(fresh, f"{folder}/{module}")
        except OSError:
            try:
                os.unlink(fresh)
            except OSError:
                pass

    def _open(self) -> str | None:
        """Return the folder, once it is known to be ours alone."""
        if not self._looked:
            self._looked = True
            parent = _parent()
            if parent is not None:
                self._folder = _own(parent, self._name)
        return self._folder


def _parent() -> str | None:
    """Return the folder of all builds' folders."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    home = os.path.expanduser("~")
    if not os.path.isabs(cache):
        cache = f"{home}/.cache"
    return f"{cache}/parallel-python" if os.path.isabs(cache) else None


def _own(parent: str, name: str) -> str | None:
    """Return a folder that this user alone can write to, made if it is not there."""
    folder = f"{parent}/{name}"
    try:
        if not os.path.isdir(folder):
            if sys.dont_write_bytecode:
                return None
            os.makedirs(os.path.dirname(parent), exist_ok=True)
            _make(parent)
            _make(folder)
            _sweep(parent, name)
        for one in (parent, folder):
            found = os.lstat(one)
            if found.st_uid != os.geteuid() or found.st_mode & 0o022 or not stat.S_ISDIR(found.st_mode):
                return None
    except OSError:
        return None
    return folder


def _make(folder: str) -> None:
    """Make a folder, unless another process has just done so."""
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        pass


def _sweep(parent: str, name: str) -> None:
    """Remove the folders that have not been added to for longest."""
    try:
        others = [one for one in os.scandir(parent) if one.name != name]
        others.sort(key=lambda one: one.stat().st_mtime)
        for old in others[:-_KEPT]:
            for file in os.listdir(old.path):
                os.unlink(f"{old.path}/{file}")
            os.rmdir(old.path)
    except OSError:
        pass  # Another process sweeps too, or it is not ours.
