"""What stands for launchers: the kernel's engines, and the controller that is not needed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parallel_python.client.engines import Engines
    from parallel_python.client.link import Conversation

#: How long a kernel may take to say which engines there are, in seconds.
PATIENCE = 10.0

#: What users may say for engines; both mean the kernel's own.
KNOWN = ("local", "mpi")


def check_launcher(what: Any) -> str:
    """Return a launcher's name, or say what there is instead of it.

    Raises
    ------
    NotImplementedError
        When it is another launcher than the kernel's own.
    """
    name = what.lower() if isinstance(what, str) else getattr(what, "__name__", str(what))
    if name not in KNOWN:
        raise NotImplementedError(
            f"there is no launcher {what!r} here: the engines run on this machine, under MPI."
            " Say `engines='mpi'` or leave it out"
        )
    return name


class EngineSet:
    """The engines, as a cluster's one set of them.

    Parameters
    ----------
    conversation : Conversation
        The way to them.
    identifier : str
        The set's id.
    """

    def __init__(self, conversation: Conversation, identifier: str) -> None:
        self._conversation = conversation
        self.identifier = identifier
        self._on_stop: list[Callable[[dict[str, Any]], None]] = []
        self._stopping = False

    @property
    def _engines(self) -> Engines:
        """What is known of them; whoever asks first has it told."""
        engines = self._conversation.engines
        if not engines.told:
            self._conversation.link.open()
            engines.wait(lambda: engines.told > 0, PATIENCE)
        return engines

    @property
    def ids(self) -> list[int]:
        """Those that can work, in order."""
        return self._engines.ids

    @property
    def n(self) -> int:
        """How many engines there are."""
        return len(self._engines.table)

    @property
    def running(self) -> bool:
        """Whether they run."""
        return self._engines.phase in ("launching", "up")

    @property
    def state(self) -> str:
        """``before``, ``running`` or ``after``."""
        return {"launching": "before", "up": "running"}.get(self._engines.phase, "after")

    def on_stop(self, callback: Callable[[dict[str, Any]], None]) -> None:
        """Have `callback` called once with why, when the engines have stopped; in a thread of its own."""
        if not self._on_stop:
            self._engines.watchers.append(self._look)
        self._on_stop.append(callback)

    def _look(self) -> None:
        engines = self._engines
        # The connection ends as the engines do that somebody stops together with what has them.
        clean = engines.phase == "off" or self._stopping
        self._stopping = engines.phase == "stopping"
        if engines.phase in ("off", "failed"):
            engines.watchers.remove(self._look)
            callbacks, self._on_stop = self._on_stop, []
            told = {"exit_code": 0 if clean else 1, "identifier": self.identifier}
            for callback in callbacks:
                # This is the thread that completes results: a callback that waits for one must not run in it.
                threading.Thread(target=callback, args=(dict(told),), daemon=True).start()

    def get_output(self, remove: bool = False) -> str:
        """Return why the engines failed, if they did; what they print is in the notebook."""
        # What ends together with the connection has nothing more to say.
        return "" if self._conversation.ended else self._engines.reason

    def __repr__(self) -> str:
        return f"<{type(self).__name__}(n={self.n}, state={self.state})>"


class Controller:
    """The kernel, which is what a controller was for."""

    state = "running"
    running = True

    def get_output(self, remove: bool = False) -> str:
        """Return nothing: the kernel's log is Jupyter's."""
        return ""

    def __repr__(self) -> str:
        return f"<{self.state}>"
