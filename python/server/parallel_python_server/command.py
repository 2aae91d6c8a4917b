"""The command ``parallel-python engines``, run beside the server's event loop, which it never holds up."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

#: The command of the build that this file belongs to; through the link ``current``, so that the next build is
#: meant too once it is installed.
PROGRAM = Path(__file__).parents[2] / "parallel-python"


class Failed(Exception):
    """The command failed; the text is what it said."""


async def engines(*words: str, folder: str | None = None) -> str:
    """Run the command to its end and return what it printed.

    Parameters
    ----------
    *words : str
        What follows ``parallel-python engines``.
    folder : str, optional
        Where it runs, and so the engines that it starts.

    Raises
    ------
    Failed
        When it fails.
    """
    pipe = asyncio.subprocess.PIPE
    try:
        # In a session of its own: Ctrl-C in the server's terminal is not meant for it.
        process = await asyncio.create_subprocess_exec(
            str(PROGRAM), "engines", *words, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe,
            cwd=folder, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise Failed(f"`{PROGRAM}` cannot be started: {error}") from None
    out, err = await process.communicate()
    if process.returncode:
        said = err.decode(errors="replace").strip() or f"it ended with code {process.returncode}"
        raise Failed(said.removeprefix("parallel-python: "))
    return out.decode(errors="replace")


async def listed() -> list[dict[str, Any]]:
    """Return the sets of engines of this user as ``engines list --json`` shows them."""
    entries: list[dict[str, Any]] = json.loads(await engines("list", "--json"))
    return entries
