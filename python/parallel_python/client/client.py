"""`Client`: the way to the engines, and to what they have done.

A client holds no engines and no connection of its own: all clients of a process share one conversation with
the kernel (`parallel_python.client.link`), and the kernel keeps the records of all tasks. What is a
client's own is which tasks it has submitted.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from parallel_python.client.connecting import connect
from parallel_python.client.control import Control
from parallel_python.client.errors import NoEnginesRegistered
from parallel_python.client.link import Conversation
from parallel_python.client.patience import Patience
from parallel_python.client.purging import Purging
from parallel_python.client.records import Records
from parallel_python.client.resubmitting import Resubmitting
from parallel_python.client.targets import is_one, resolve
from parallel_python.client.tasks import Tasks
from parallel_python.client.views import Views

if TYPE_CHECKING:
    from parallel_python.cluster.cluster import Cluster
    from parallel_python.view import DirectView


class ClientClosed(RuntimeError, OSError):
    """The client was closed; ipyparallel says so by either, as something is submitted or asked."""


class Client(Views, Tasks, Patience, Control, Records, Resubmitting, Purging):
    """The engines of this notebook; in a plain Python process, a set of engines of this user.

    Parameters
    ----------
    connection_info : str or path, optional
        The file of a set of engines. Others, as ipyparallel has them, are not needed and say nothing.
    url_file : str, optional
        The same.
    profile, cluster_id : str, optional
        The name of the set. In a notebook the engines are the kernel's, whatever the name. Elsewhere they
        are those of ``parallel-python engines start --profile NAME``, or a notebook's, whose name is its
        connection file's; without a name the set ``default``, else the only one there is.
    timeout : float
        Seconds to wait for the kernel; engines that are still starting are waited for as long as they start.
    cluster : Cluster, optional
        What started the engines.
    **extra
        Other options of ipyparallel's client (``sshserver`` and the like), which have nothing to do here.

    Raises
    ------
    OSError
        When there are no engines for this process, or they cannot start.
    """

    def __init__(
        self,
        connection_info: str | Mapping[str, Any] | None = None,
        *,
        url_file: str | None = None,
        profile: str | None = None,
        profile_dir: str | None = None,
        ipython_dir: str | None = None,
        context: object = None,
        debug: bool = False,
        sshserver: str | None = None,
        sshkey: str | None = None,
        password: str | None = None,
        paramiko: bool | None = None,
        timeout: float = 10,
        cluster_id: str | None = None,
        cluster: Cluster | None = None,
        **extra: Any,
    ) -> None:
        if isinstance(connection_info, str) and "://" in connection_info:
            raise ValueError(
                f"{connection_info!r} is a URL, and engines are found by name: `Client(profile=…)`"
            )
        super().__init__()
        self._conversation: Conversation = connect(profile, cluster_id, connection_info or url_file)
        self._closed = False
        self.block = False
        self.debug = debug
        self.profile = profile or "default"
        self.cluster = cluster
        self._open(timeout)

    def _open(self, timeout: float) -> None:
        """Wait until the engines are up, or cannot come up."""
        engines = self._conversation.engines
        told = engines.told
        self._conversation.link.open()
        if not engines.wait(lambda: engines.told > told, timeout):
            raise builtins.TimeoutError("the kernel does not answer: Hub connection request timed out")
        engines.wait(lambda: engines.phase in ("up", "failed", "off"))
        if engines.phase == "off":
            # They were just being stopped.
            self._conversation.link.open()
            engines.wait(lambda: engines.phase in ("up", "failed"))
        if engines.phase == "failed" and not engines.ids:
            raise OSError(f"there are no engines: {engines.reason}")

    # Which engines there are.

    @property
    def ids(self) -> list[int]:
        """The engines, in order; this is as of now."""
        self._check_open()
        engines = self._conversation.engines
        if engines.phase == "launching":
            engines.wait(lambda: engines.phase != "launching")
        return engines.ids

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[DirectView]:
        return (self.direct_view(engine) for engine in self.ids)

    def __getitem__(self, key: int | slice | Sequence[int]) -> DirectView:
        if isinstance(key, str) or not (is_one(key) or isinstance(key, slice | Iterable)):
            raise TypeError(f"key by int/slice/iterable of ints only, not {type(key)}")
        return self.direct_view(key)

    @property
    def _client(self) -> Client:
        return self

    def _targets(self, targets: Any) -> list[int]:
        """Return the engines that are meant, or raise why there are none."""
        self._conversation.check()
        engines = self._conversation.engines
        try:
            return resolve(targets, self.ids)
        except NoEnginesRegistered as error:
            if not engines.ended:
                raise
            raise NoEnginesRegistered(f"{error} There will be none: {engines.ended}.") from None
        except IndexError as error:
            dead = [engine.rank for engine in engines.table.values() if not engine.alive]
            if not dead:
                raise
            raise IndexError(f"{error} (these have died: {dead}; a restart brings them back)") from None

    # The end.

    def close(self, linger: float | None = None) -> None:
        """Use this client no more; the engines stay, and so does what they have of it.

        What it is asked then raises `ClientClosed`; results that it has given go on.
        """
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise ClientClosed("this client is closed: make another one with `Client()`")

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: engines {self._conversation.engines.ids}>"
