"""What is known of one task on one engine: where and when it ran, and what it showed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

#: Every key, in the order in which people read them.
KEYS = (
    "msg_id",
    "submitted",
    "started",
    "completed",
    "received",
    "engine_uuid",
    "engine_id",
    "follow",
    "after",
    "label",
    "status",
    "execute_input",
    "execute_result",
    "error",
    "stdout",
    "stderr",
    "outputs",
    "data",
    "is_broadcast",
    "is_coalescing",
)


class Metadata(dict[str, Any]):
    """A dict of exactly `KEYS`, whose values are attributes too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(
            dict.fromkeys(KEYS), stdout="", stderr="", outputs=[], data={}, follow=[], after=[],
            is_broadcast=False, is_coalescing=False,
        )  # fmt: skip
        self.update(dict(*args, **kwargs))

    def __getattr__(self, key: str) -> Any:
        try:
            return self[key]
        except KeyError:
            raise AttributeError(key) from None

    def __setattr__(self, key: str, value: Any) -> None:
        try:
            self[key] = value
        except KeyError:
            raise AttributeError(key) from None

    def __setitem__(self, key: str, value: Any) -> None:
        if key not in self:
            raise KeyError(f"Invalid key: {key!r}; the keys are {', '.join(KEYS)}")
        super().__setitem__(key, value)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set several values."""
        for key, value in dict(*args, **kwargs).items():
            self[key] = value


def time_of(seconds: float) -> datetime:
    """Return a time in seconds since 1970 as a time of the local time zone."""
    return datetime.fromtimestamp(seconds, UTC).astimezone()
