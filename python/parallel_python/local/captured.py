"""What a magic shows where code has replaced the cell's output: ``%%capture``, `contextlib.redirect_stdout`.

The kernel shows what engines print by itself. **Invariant**: what was captured goes where the cell's own
output goes, all of it when the magic is over, and is shown nowhere else.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

from IPython.core.displaypub import CapturingDisplayPublisher

from .stream import OutStream


def is_captured(shell: Any) -> bool:
    """Tell whether output is somebody's at the moment, and not the cell's."""
    return not isinstance(sys.stdout, OutStream) or isinstance(shell.display_pub, CapturingDisplayPublisher)


def show(shell: Any, messages: Iterable[tuple[bytes, bytes]]) -> None:
    """Show messages, header and content of each, as if code of the cell had shown what they say."""
    for header, body in messages:
        kind, content = json.loads(header)["msg_type"], json.loads(body)
        if kind == "stream":
            getattr(sys, content["name"]).write(content["text"])
        elif kind == "clear_output":
            shell.display_pub.clear_output(wait=content["wait"])
        else:
            shell.display_pub.publish(
                data=content["data"],
                metadata=content["metadata"],
                transient=content.get("transient"),
                update=kind == "update_display_data",
            )
