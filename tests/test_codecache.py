"""Byte code that is kept for the next process: what is trusted, and what is not."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from notebook import ROOT

CodeCache = runpy.run_path(str(ROOT / "python/parallel_python/_codecache.py"))["CodeCache"]
CODE = compile("answer = 42", "parallel_python/x.py", "exec")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Caches of this test alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    return lambda build="b": CodeCache(build)


def files(tmp_path: Path) -> list[Path]:
    return [path for path in tmp_path.rglob("*") if path.is_file()]


def test_there_and_back(cache: Callable[..., Any], tmp_path: Path) -> None:
    assert cache().load("x") is None
    cache().save("x", CODE)
    found = cache().load("x")
    assert found == CODE and found.co_filename == "parallel_python/x.py"
    [file] = files(tmp_path)
    for folder in (file.parent, file.parent.parent):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert cache("other").load("x") is None and cache().load("y") is None


@pytest.mark.parametrize("spoil", [b"", b"12345678", None])
def test_what_is_broken_is_not_run(cache: Callable[..., Any], tmp_path: Path, spoil: bytes | None) -> None:
    cache().save("x", CODE)
    [file] = files(tmp_path)
    file.write_bytes(file.read_bytes()[:-1] if spoil is None else spoil)
    assert cache().load("x") is None
    cache().save("x", CODE)
    assert cache().load("x") == CODE


@pytest.mark.parametrize("above", [0, 1])
def test_a_folder_that_others_can_write_to_is_not_used(
    cache: Callable[..., Any], tmp_path: Path, above: int
) -> None:
    cache().save("x", CODE)
    [file] = files(tmp_path)
    file.parents[above].chmod(0o770)
    assert cache().load("x") is None
    cache().save("y", CODE)
    assert files(tmp_path) == [file]


def test_a_link_is_not_followed(cache: Callable[..., Any], tmp_path: Path) -> None:
    cache().save("x", CODE)
    [file] = files(tmp_path)
    real = file.parent.rename(tmp_path / "real")
    file.parent.symlink_to(real)
    assert cache().load("x") is None


def test_nothing_is_written_where_python_writes_nothing(
    cache: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    cache().save("x", CODE)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_made_is_done_without(
    cache: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    cache().save("x", CODE)
    assert cache().load("x") is None


def test_old_builds_go(cache: Callable[..., Any], tmp_path: Path) -> None:
    for number in range(12):
        cache(f"b{number}").save("x", CODE)
        os.utime(files(tmp_path)[0].parent)
    assert len(files(tmp_path)) == 9 and cache("b11").load("x") == CODE


def test_a_process_uses_what_the_last_one_has_left(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"XDG_CACHE_HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
    code = "import parallel_python as ipp; print(ipp.Client, ipp.Client.__init__.__code__.co_filename)"

    def run() -> str:
        ran = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    first = run()
    left = {path: path.stat().st_mtime_ns for path in files(tmp_path)}
    assert len(left) > 10 and run() == first and "parallel_python/client/client.py" in first
    assert {path: path.stat().st_mtime_ns for path in files(tmp_path)} == left
    for path in left:
        path.write_bytes(b"not code at all")
    assert run() == first
