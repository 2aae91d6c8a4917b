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


def main() -> None:
    """Replace this process by the kernel's executable."""
    folder = os.path.dirname(os.path.abspath(__file__))
    kernel = os.path.join(folder, "bin", "parallel-python")
    command = [kernel, "kernel", *sys.argv[1:], "--default-python", sys.executable]
    try:
        os.execv(kernel, command)
    except OSError as error:
        sys.exit(
            f"cannot start `{kernel}`: {error.strerror}. Build the project (`make`) and install its "
            "kernelspec again (`jupyter kernelspec install kernelspec/ --user`)."
        )


if __name__ == "__main__":
    main()
