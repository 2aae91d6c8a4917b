"""Records of tasks as ``db_query`` gives them: one of each part, under ipyparallel's keys."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from parallel_python.client.metadata import time_of

Record = dict[str, Any]

#: What the kernel's records say.
KEYS = (
    "msg_id", "submitted", "started", "completed", "engine_id", "status", "label", "method", "code",
    "execute_input", "client", "client_uuid",
)  # fmt: skip

#: What is in the output and results that the kernel keeps: fetched where it is asked for by name.
FETCHED = (
    "stdout", "stderr", "error", "outputs", "execute_result", "data", "engine_uuid", "received",
)  # fmt: skip

#: How a task's status reads when it has ended.
ENDED = frozenset({"ok", "error", "aborted"})


def check(names: Iterable[str]) -> None:
    """Raise where a key is asked for that records have not.

    Raises
    ------
    ValueError
        With the keys that there are.
    """
    for name in names:
        if name not in KEYS and name not in FETCHED:
            raise ValueError(f"records have no {name!r}: they have {', '.join((*KEYS, *FETCHED))}")


def flat(record: Record, rank: str | None) -> Record:
    """Return the record of one part of a task; without a rank, of one that the kernel has placed."""
    parts: dict[str, Any] = record["parts"]
    chosen = rank if rank is not None else next(iter(parts), None)
    part = parts.get(chosen or "", {})
    name = record["name"]
    client = record.get("client")
    return {
        "msg_id": name if rank is None else f"{name}@{rank}",
        "submitted": _time(record["submitted"]),
        "started": _time(part.get("started")),
        "completed": _time(part.get("completed")),
        "engine_id": None if chosen is None else int(chosen),
        "status": part.get("status"),
        "label": record.get("label"),
        "method": record["method"],
        "code": record.get("code"),
        "execute_input": record.get("code"),
        "client": client,
        "client_uuid": None if client is None else str(client),
    }


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else time_of(seconds)
