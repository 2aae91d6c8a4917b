"""Sets of engines without a notebook, as tests use them: an environment of their own, and the command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

BIN = Path(sys.executable).parent

#: The engine library of the build that is installed.
LIBRARY = (
    Path(shutil.which("parallel-python", path=str(BIN)) or "")
    .resolve()
    .with_name("libparallel_python_engine.so")
)

#: Every environment that was made, so that a test that fails leaves no engines running.
_made: list[dict[str, str]] = []


def environment_with(runtime: Path) -> dict[str, str]:
    """Return an environment with a runtime folder of its own, in which nothing runs."""
    runtime.mkdir(mode=0o700)
    chosen = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment = {**chosen, "XDG_RUNTIME_DIR": str(runtime), "PARALLEL_PYTHON": sys.executable}
    _made.append(environment)
    return environment


def end_what_runs() -> None:
    """End the sets of engines that still run in an environment that was made here."""
    for environment in _made:
        if any(Path(environment["XDG_RUNTIME_DIR"]).glob("parallel-python/*.json")):
            engines(environment, "clean", "--force", "--all")
    _made.clear()


def environment_in(folder: Path, profiles: tuple[str, ...] = ()) -> dict[str, str]:
    """Return an environment in which nothing runs; two engines are the usual number."""
    for name in ("ipython", *(f"ipython/profile_{profile}" for profile in profiles)):
        (folder / name).mkdir(mode=0o700)
    return {
        **environment_with(folder / "run"),
        "IPYTHONDIR": str(folder / "ipython"),
        "PARALLEL_PYTHON_ENGINES": "2",
    }


def engines(environment: dict[str, str], *words: str, code: int = 0) -> str:
    """Run ``parallel-python engines`` and return what it says."""
    return terminal(environment, "engines", *words, code=code)


def terminal(environment: dict[str, str], *words: str, code: int = 0) -> str:
    """Run ``parallel-python`` and return what it says."""
    command = [BIN / "parallel-python", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def assert_nothing_runs(environment: dict[str, str]) -> None:
    """No set of engines may be there, nor anything that one has left."""
    assert engines(environment, "list") == "no engines\n"
    assert_nothing_is_left(environment)


def assert_nothing_is_left(environment: dict[str, str]) -> None:
    """No set of engines may have left anything."""
    left = Path(environment["XDG_RUNTIME_DIR"]).rglob("*")
    assert not [path for path in left if path.name != "parallel-python"], "files are left"
