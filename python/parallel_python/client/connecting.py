"""Which engines a client means, and the one conversation with each set of them.

In a notebook of this project they are its kernel's, whatever the name. Anywhere else they are found by name
(`parallel_python.client.registry`). **Invariant**: a process has one conversation with each set; a forked
process has none of its parent's.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from parallel_python import bulk
from parallel_python.client import registry
from parallel_python.client.clientlink import ClientLink
from parallel_python.client.link import Conversation

#: By the path of their socket; None: the notebook's own.
_conversations: dict[str | None, Conversation] = {}
_connecting = threading.Lock()


def has_own_engines() -> bool:
    """Tell whether this process is a notebook's, whose kernel has engines."""
    return None in _conversations or "parallel_python.local" in sys.modules


def connect(
    profile: str | None = None,
    cluster_id: str | None = None,
    connection_info: str | os.PathLike[str] | Mapping[str, Any] | None = None,
) -> Conversation:
    """Return the conversation with the engines that are meant; it begins with the first call.

    Parameters
    ----------
    profile, cluster_id : str, optional
        Their name; a notebook's own engines have any.
    connection_info : str, path or dict, optional
        The file of a set of engines, as ``parallel-python engines list`` shows them; or what is in it.

    Raises
    ------
    OSError
        When this process has no way to such engines.
    """
    named = _at(connection_info)
    with _connecting:
        if named is None and has_own_engines():
            if None not in _conversations:
                _conversations[None] = Conversation(_own_link())
            conversation = _conversations[None]
            conversation.check()
            return conversation
        if named is None:
            _refuse_engines()
            named = registry.find(registry.set_name(profile, cluster_id))
        return _join(named)


def _join(entry: registry.Entry) -> Conversation:
    conversation = _conversations.get(entry.socket)
    if conversation is None or conversation.ended or conversation.pid != os.getpid():
        from _parallel_python import ClientLink as Link

        # A notebook's own Python has this from its kernel.
        bulk.allow_many_files()
        again = f"`parallel-python engines list` shows what there is; start {entry.profile!r} again"
        conversation = Conversation(Link.connect(entry.socket), again)
        _conversations[entry.socket] = conversation
    return conversation


def _at(connection_info: Any) -> registry.Entry | None:
    """Return the set that a file describes; other files, as ipyparallel has them, say nothing here."""
    if not isinstance(connection_info, str | os.PathLike):
        return None
    entry = registry.at(connection_info)
    if entry is None and Path(connection_info).parent == registry.folder():
        there = "`parallel-python engines list` shows what there is"
        raise FileNotFoundError(f"{os.fspath(connection_info)}: the engines it described have ended; {there}")
    return entry


def _own_link() -> ClientLink:
    from parallel_python import local

    link: ClientLink = local.link().client()
    return link


def _refuse_engines() -> None:
    if "parallel_python.engine.shell" in sys.modules:
        raise OSError(
            "this is an engine, and a Client belongs into the notebook:"
            " engines talk to each other by MPI (`MPI.COMM_WORLD`)"
        )
