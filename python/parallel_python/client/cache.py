"""`Cache`: values, or metadata, of tasks that no `AsyncResult` has taken, by id.

It is what `Client.results` and `Client.metadata` are. Taking something out of it lets go of
it. **Invariant**: the link's thread only removes whole entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from parallel_python.client.part import Part


class Cache(MutableMapping[str, Any]):
    """What is kept of tasks, by id.

    Parameters
    ----------
    look : callable
        What is shown of a part.
    there : callable
        Whether there is something to show.
    missing : callable
        What is given for an id that is not there.
    """

    def __init__(
        self, look: Callable[[Part], Any], there: Callable[[Part], bool], missing: Callable[[], Any]
    ) -> None:
        self._parts: dict[str, Part] = {}
        self._look, self._there, self._missing = look, there, missing

    def keep(self, part: Part) -> None:
        """Keep a part, which may show something later."""
        self._parts[part.msg_id] = part

    def drop(self, msg_id: str) -> None:
        """Let go of a part, if it is kept."""
        self._parts.pop(msg_id, None)

    def __getitem__(self, msg_id: str) -> Any:
        part = self._parts.get(msg_id)
        return self._look(part) if part is not None and self._there(part) else self._missing()

    def __contains__(self, msg_id: object) -> bool:
        part = self._parts.get(msg_id) if isinstance(msg_id, str) else None
        return part is not None and self._there(part)

    def __setitem__(self, msg_id: str, value: Any) -> None:
        raise TypeError("what engines gave cannot be set, only be taken out: `del client.results[msg_id]`")

    def __delitem__(self, msg_id: str) -> None:
        del self._parts[msg_id]

    def pop(self, msg_id: str, *default: Any) -> Any:
        """Take a value out; the default, if there is one, where there is none."""
        if msg_id not in self and default:
            return default[0]
        value = self[msg_id]
        del self[msg_id]
        return value

    def clear(self) -> None:
        """Let go of everything that is there."""
        for msg_id in list(self):
            self.drop(msg_id)

    def __iter__(self) -> Iterator[str]:
        return (msg_id for msg_id, part in list(self._parts.items()) if self._there(part))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))


def results() -> Cache:
    """Return a cache of values, or of the errors in their place."""
    return Cache(
        lambda part: part.value() if part.error is None else part.error, lambda part: part.done, lambda: None
    )


def metadata() -> Cache:
    """Return a cache of what is known of tasks."""
    from parallel_python.client.metadata import Metadata

    return Cache(lambda part: part.metadata, lambda part: True, Metadata)
