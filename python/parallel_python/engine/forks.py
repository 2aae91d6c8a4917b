"""A process that user code has forked from an engine, and that comes to the end of the cell or call.

It is no engine: nothing is reported for it. **Invariant**: it ends as a Python of its own would, so whoever
waits for it learns how it went.
"""

from __future__ import annotations

import sys
from typing import NoReturn

from parallel_python.engine.raised import Raised


def end(error: BaseException, raised: Raised) -> NoReturn:
    """Say what has ended it, on standard error, and have it leave with that exit code.

    Raises
    ------
    SystemExit
        Always; `Engine.run` ends the process.
    """
    if isinstance(error, SystemExit) and (error.code is None or isinstance(error.code, int)):
        sys.exit(error.code)
    print(error.code if isinstance(error, SystemExit) else "\n".join(raised.traceback), file=sys.stderr)
    sys.exit(1)
