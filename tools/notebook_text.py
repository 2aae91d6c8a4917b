"""A notebook's outputs as text: to read in a terminal, and to compare line by line.

Pure functions over the notebook format (nbformat 4). Two runs that show a reader the same thing
give the same lines, however the kernel cut its streams into messages or coloured them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def plain(text: str) -> str:
    """Return text without ANSI escape sequences."""
    return _ANSI.sub("", text)


def rewritten(text: str) -> str:
    r"""Return text as a terminal leaves it: what follows a lone ``\r`` replaces its line."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in lines)


def images(data: Mapping[str, Any]) -> list[str]:
    """Return the image types of a mimebundle, sorted."""
    return sorted(mime for mime in data if mime.startswith("image/"))


def readable(data: Mapping[str, Any]) -> str:
    """Return the best text there is for a mimebundle; an image is named by its type."""
    parts = [f"[{mime}]" for mime in images(data)]
    text = data.get("text/plain")
    if text is None:
        parts += [f"[{mime}]" for mime in sorted(data) if not mime.startswith("image/")]
    else:
        parts.append(text if isinstance(text, str) else "".join(text))
    return " ".join(parts)


def comparable(outputs: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the lines by which two runs of a cell are compared.

    Parameters
    ----------
    outputs : iterable of output nodes
        As nbformat stores them under a code cell.

    Returns
    -------
    list of str
        Each output's kind in brackets, then its text line by line, indented. Neighbouring pieces
        of one stream are one output.
    """
    lines: list[str] = []
    for kind, group in groupby(outputs, key=_kind):
        if kind.startswith("stream"):
            lines += _block(kind, rewritten(plain("".join(output["text"] for output in group))))
            continue
        for output in group:
            lines += _block(kind, _text(output))
    return lines


def _kind(output: Mapping[str, Any]) -> str:
    if output["output_type"] == "stream":
        return f"stream {output['name']}"
    return str(output["output_type"])


def _text(output: Mapping[str, Any]) -> str:
    if output["output_type"] == "error":
        return plain("\n".join([f"{output['ename']}: {output['evalue']}", *output["traceback"]]))
    data = output["data"]
    # An image's bytes differ between versions of what drew it, and so does its text form.
    if images(data):
        return " ".join(images(data))
    return plain("\n".join(f"{mime}: {data[mime]}" for mime in sorted(data)))


def _block(kind: str, text: str) -> list[str]:
    """Return an output's lines; a missing final newline shows, because readers see it too."""
    end = [] if text.endswith("\n") else ["    (no newline at the end)"]
    body = text.removesuffix("\n")
    shown = [f"    {line}" for line in body.split("\n")]
    return [f"[{kind}]", *shown, *(end if kind.startswith("stream") else [])]
