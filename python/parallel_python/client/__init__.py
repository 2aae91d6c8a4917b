"""The client API: what ``import ipyparallel as ipp`` gives in a notebook of this kernel.

::

    Client ─► views ─► submission ─► Conversation ─► ClientLink (Rust) ─► kernel ─► engines
       AsyncResult ◄─ Part ◄──────────────┘ (its thread)

==================  ==================================================================
file                what it is
==================  ==================================================================
``client``          `Client`; what it does is in ``views``, ``tasks``, ``patience``, ``control``, ``records``,
                    ``purging``
``connecting``      which conversation a client has; ``registry``: sets of engines by name
``link``            `Conversation`, a connection and its thread; ``clientlink``: what Rust gives it
``part``            a task on one engine; ``printed``: what it prints
``submission``      work as it is sent
``targets``         which engines are meant
``engines``         which engines there are; ``waiting``: until there are enough
``asyncresult``     `AsyncResult`; with ``waitable``, ``timing``, ``display``, ``stream``,
                    ``progress``, ``bars``
``cache``           what is kept of tasks that no `AsyncResult` has taken; ``sent``: to submit them again
``batches``         how what is submitted becomes messages
``mapresult``       results of maps
``metadata``        what is known of a task
``reply``           what executing code gave
``errors``          what can go wrong
``query``           which records match
==================  ==================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parallel_python.client.asyncresult import AsyncResult


def recall_px(name: str) -> AsyncResult:
    """Return the result of a ``%px`` cell by its task's name; of one engine alone by that of its part."""
    from parallel_python.client.asyncresult import AsyncResult
    from parallel_python.client.part import split_id
    from parallel_python.client.quiet import quiet_client

    client = quiet_client()
    task, rank = split_id(name)
    parts = client._recall([task])
    if not parts:
        raise KeyError(f"no task {task!r} is known")
    return AsyncResult(client, parts if rank is None else parts[0], "%px")
