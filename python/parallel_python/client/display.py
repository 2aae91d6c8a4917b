"""What engines printed, displayed and gave, shown in the notebook (or in a terminal) after the fact.

Text carries its engine's number: ``[stdout:2] hi``. Several lines of one engine stand under their label.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from parallel_python.client.part import Part

RED, PLAIN = "\x1b[0;31m", "\x1b[0m"
GROUPS = ("type", "engine", "order", "collate")


def labelled(label: str, text: str) -> str:
    """Return text under a label: on its line, or on lines of its own."""
    if not text:
        return ""
    several = "\n" in text.rstrip("\n") and not text.startswith("\n")
    return f"{label}{chr(10) if several else ''}{text}{'' if text.endswith(chr(10)) else chr(10)}"


def out_prompt(engine: int | None, count: int, text: str) -> str:
    """Return the value of an engine's cell as a notebook's prompt shows it."""
    red, plain = (RED, PLAIN) if _in_colour() else ("", "")
    newline = "\n" if "\n" in text and not text.startswith("\n") else ""
    return f"{red}Out[{engine}:{count}]: {plain}{newline}{text}"


def _in_colour() -> bool:
    get_ipython = _ipython()
    shell = get_ipython() if get_ipython else None
    return str(getattr(shell, "colors", "")).lower() != "nocolor"


def _ipython() -> Any:
    module = sys.modules.get("IPython")
    return module.get_ipython if module is not None and module.get_ipython() is not None else None


def display_parts(parts: Sequence[Part], groupby: str, result_only: bool, *, single: bool) -> None:
    """Show what parts have to show.

    Parameters
    ----------
    parts : list of Part
        In the order in which to show them.
    groupby : {'type', 'engine', 'order'}
        What stands together.
    result_only : bool
        Show nothing but values.
    single : bool
        There is one engine, which needs no label.
    """
    if groupby not in GROUPS:
        raise ValueError(f"groupby must be one of 'type', 'engine', 'order', not {groupby!r}")
    if groupby == "engine":
        for part in parts:
            _display([part], result_only, single=single, in_turns=False)
    else:
        _display(parts, result_only, single=single, in_turns=groupby in ("order", "collate"))
    sys.stdout.flush()
    sys.stderr.flush()


def _display(parts: Sequence[Part], result_only: bool, *, single: bool, in_turns: bool) -> None:
    if not result_only:
        _print(parts, "stdout", single)
        _print(parts, "stderr", single)
        for part, output in _in_turns(parts) if in_turns else _one_after_the_other(parts):
            show_output(part, output, single=single)
    for part in parts:
        if (result := part.metadata["execute_result"]) is not None:
            show_result(part, result)


def _print(parts: Sequence[Part], stream: str, single: bool) -> None:
    texts = (
        part.metadata[stream] if single else labelled(f"[{stream}:{part.rank}] ", part.metadata[stream])
        for part in parts
    )
    getattr(sys, stream).write("".join(texts))


def _one_after_the_other(parts: Sequence[Part]) -> Iterable[tuple[Part, dict[str, Any]]]:
    return ((part, output) for part in parts for output in part.metadata["outputs"])


def _in_turns(parts: Sequence[Part]) -> Iterable[tuple[Part, dict[str, Any]]]:
    most = max((len(part.metadata["outputs"]) for part in parts), default=0)
    for turn in range(most):
        for part in parts:
            if turn < len(part.metadata["outputs"]):
                yield part, part.metadata["outputs"][turn]


def show_output(part: Part, output: dict[str, Any], *, single: bool) -> None:
    """Show something that was displayed on an engine, under its label."""
    if not single:
        _publish({"text/plain": f"[output:{part.rank}]"}, {})
    _publish(output["data"], {**output.get("metadata", {}), "engine": part.rank})


def show_result(part: Part, result: dict[str, Any]) -> None:
    """Show the value of a cell's last expression."""
    data = dict(result["data"])
    data["text/plain"] = out_prompt(part.rank, result["execution_count"], data.get("text/plain", ""))
    _publish(data, {**result.get("metadata", {}), "engine": part.rank})


def _publish(data: dict[str, Any], metadata: dict[str, Any]) -> None:
    """Show a MIME bundle; where nothing but text can be shown, its text."""
    if _ipython() is None:
        print(data.get("text/plain", f"<{', '.join(data)}>"))
        return
    from IPython.display import display

    display(data, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]
