"""Become the kernel: the step between a kernelspec that never changes and one machine's folders.

Jupyter puts its own interpreter where `kernel.json` says ``python``, and this folder where it says
``{resource_dir}``. So the installed spec needs nothing on PATH and no path of the machine it was
built on, and the kernel learns which Python the notebook server runs on: the one its cells run on
unless the user names another. The process is replaced, not started: Jupyter keeps the pid it knows.

Not for choosing anything: every option after the script's name goes to the kernel unchanged.
Runs under ``-IS``, so it may import the standard library only, and starts in milliseconds.
"""

import os
import sys


def known() -> list[str]:
    """Return what the kernel would otherwise have to start this Python once more to learn.

    A Python that is linked to its shared library says exactly which one that is; any other Python, and one
    that is too old, is asked by the kernel.
    """
    name = f"/libpython{sys.version_info.major}.{sys.version_info.minor}{sys.abiflags}.so"
    if sys.version_info < (3, 11):  # noqa: UP036 (this script runs in whatever Python Jupyter runs in)
        return []
    try:
        with open("/proc/self/maps", encoding="utf-8") as maps:
            paths = {line.rstrip("\n").partition("/")[2] for line in maps if name in line}
    except (OSError, UnicodeDecodeError):
        return []
    library = "/" + paths.pop() if len(paths) == 1 else ""
    return ["--default-libpython", library] if os.path.isfile(library) else []


def main() -> None:
    """Replace this process by the kernel's executable."""
    folder = os.path.dirname(os.path.abspath(__file__))
    kernel = os.path.join(folder, "bin", "parallel-python")
    # Before what frontends add: behind the names of scripts, which `jupyter run` adds, nothing is an option.
    command = [kernel, "kernel", "--default-python", sys.executable, *known(), *sys.argv[1:]]
    try:
        os.execv(kernel, command)
    except OSError as error:
        sys.exit(
            f"cannot start `{kernel}`: {error.strerror}. Build the project (`make`) and install the "
            "kernel again (`build/bin/parallel-python install --user`)."
        )


if __name__ == "__main__":
    main()
