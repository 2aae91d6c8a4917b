"""What all views have in common: flags, what was asked through them, and how a call becomes a result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from parallel_python.client.asyncresult import AsyncResult
from parallel_python.client.part import Part

if TYPE_CHECKING:
    from parallel_python.client.client import Client
    from parallel_python.remoting.functions import ParallelFunction, RemoteFunction
    from parallel_python.view.executor import ViewExecutor

Result = TypeVar("Result", bound=AsyncResult)


class View:
    """Engines, and how to use them.

    Parameters
    ----------
    client : Client
        The way to them.
    targets : int, list of int, 'all' or None
        Which engines.
    **flags
        The view's flags, by name.

    Attributes
    ----------
    block : bool
        Whether calls wait for their result and return it.
    track : bool
        Accepted: arguments may be changed as soon as a call has returned, whatever it says.
    label : str or None
        What tasks are called, in their records.
    """

    flag_names: ClassVar[frozenset[str]] = frozenset({"targets", "block", "track", "label"})

    def __init__(self, client: Client, targets: Any = None, **flags: Any) -> None:
        self.client = client
        self.targets: Any = targets
        self.block: bool = client.block
        self.track = False
        self.label: str | None = None
        self.history: list[str] = []
        self._executor: ViewExecutor | None = None
        self.set_flags(**flags)

    # Flags.

    def __setattr__(self, name: str, value: Any) -> None:
        self._check_flag(name, value)
        object.__setattr__(self, name, value)
        if name in ("targets", "block"):
            # Magics that use this view: see `parallel_python.local.magics.activate`.
            for follow in vars(self).get("_followers", ()):
                follow()

    def _check_flag(self, name: str, value: Any) -> None:
        """Raise what is wrong with a flag's value."""
        if name in ("block", "track") and value is not None and not isinstance(value, bool):
            raise TypeError(f"{name} must be True or False, not {value!r}")

    def set_flags(self, **flags: Any) -> Self:
        """Set flags by name.

        Raises
        ------
        KeyError
            When there is no flag of that name.
        TypeError
            When a flag cannot have that value.
        """
        for name in flags:
            if name not in self.flag_names:
                raise KeyError(f"Invalid name: {name!r}")
        for name, value in flags.items():
            setattr(self, name, value)
        return self

    @contextmanager
    def temp_flags(self, **flags: Any) -> Iterator[None]:
        """Set flags in the body of a ``with`` statement."""
        before = {name: getattr(self, name) for name in self.flag_names}
        try:
            self.set_flags(**flags)
            yield
        finally:
            for name, value in before.items():
                setattr(self, name, value)

    def _with(self, **flags: Any) -> Self:
        """Return the same engines with other flags, and one history; this view stays as it is."""
        view = object.__new__(type(self))
        vars(view).update(vars(self), _executor=None)
        # Magics follow this view and not the other one.
        vars(view).pop("_followers", None)
        return view.set_flags(**flags)

    # Calls.

    def apply(self, __f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a function on the engines: the value where the view blocks, else an `AsyncResult`."""
        return self._call(__f, args, kwargs, self.block)

    def apply_async(self, __f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> AsyncResult:
        """Call a function on the engines without waiting."""
        result: AsyncResult = self._call(__f, args, kwargs, False)
        return result

    def apply_sync(self, __f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a function on the engines and return its value."""
        return self._call(__f, args, kwargs, True)

    def _call(self, function: Any, args: Sequence[Any], kwargs: dict[str, Any], block: bool) -> Any:
        raise NotImplementedError

    def map(self, __f: Callable[..., Any], /, *sequences: Iterable[Any], **flags: Any) -> Any:
        """Call a function with the items of sequences, divided among the engines."""
        raise NotImplementedError

    def map_async(self, __f: Callable[..., Any], /, *sequences: Iterable[Any], **flags: Any) -> Any:
        """As `map`, without waiting."""
        if "block" in flags:
            raise TypeError("map_async doesn't take a `block` keyword argument.")
        return self.map(__f, *sequences, block=False, **flags)

    def map_sync(self, __f: Callable[..., Any], /, *sequences: Iterable[Any], **flags: Any) -> Any:
        """As `map`, and return the list of values."""
        if "block" in flags:
            raise TypeError("map_sync doesn't take a `block` keyword argument.")
        return self.map(__f, *sequences, block=True, **flags)

    def imap(self, __f: Callable[..., Any], /, *sequences: Iterable[Any], **flags: Any) -> Iterator[Any]:
        """Give the values of a map as they come."""
        return iter(self.map_async(__f, *sequences, **flags))

    def _finish(self, result: Result, block: bool | None) -> Any:
        """Return a result, or wait for it and return its value; an interrupt ends what runs, too."""
        if not (self.block if block is None else block):
            return result
        return self._wait(result).get()

    def _wait(self, result: Result) -> Result:
        try:
            result.wait()
        except KeyboardInterrupt:
            self.client._interrupt(result)
            raise
        return result

    def _note(self, parts: list[Part]) -> list[Part]:
        self.history.extend(part.msg_id for part in parts)
        return parts

    # What was asked through this view.

    @property
    def outstanding(self) -> set[str]:
        """The ids of this view's tasks that are not done."""
        return self.client.outstanding & set(self.history)

    @property
    def results(self) -> Any:
        """As `Client.results`."""
        return self.client.results

    def wait(self, jobs: Any = None, timeout: float = -1) -> bool:
        """Wait for tasks.

        Parameters
        ----------
        jobs : int, str, Future, or list of them, optional
            As for `Client.wait`; None: all of this view's that are not done.
        timeout : float
            Seconds to wait at most; negative: no limit.

        Returns
        -------
        bool
            Whether all are done.
        """
        return self.client.wait(sorted(self.outstanding) if jobs is None else jobs, timeout)

    def spin(self) -> None:
        """Do nothing: results come by themselves."""
        self.client.spin()

    def abort(self, jobs: Any = None, targets: Any = None, block: bool | None = None) -> Any:
        """Take back tasks that have not begun; those that run go on.

        Parameters
        ----------
        jobs : str, AsyncResult, or list of them, optional
            None: all of this view's that are not done.
        targets : optional
            Only what is meant for these engines.
        block : bool, optional
            Whether to wait until it is decided; None: as the view does.
        """
        jobs = sorted(self.outstanding) if jobs is None else jobs
        return self.client.abort(jobs, targets, self.block if block is None else block)

    def get_result(
        self, indices_or_msg_ids: Any = None, block: bool | None = None, owner: bool = False
    ) -> Any:
        """Return the result of tasks.

        Parameters
        ----------
        indices_or_msg_ids : int, str, AsyncResult, or list of them, optional
            Numbers in this view's history, or ids; None: the last one.
        block : bool, optional
            Whether to wait until they are done; None: as the client does.
        owner : bool
            Whether the client forgets the values when the result has them.

        Returns
        -------
        AsyncResult
            Also where it blocks.
        """
        wanted = -1 if indices_or_msg_ids is None else indices_or_msg_ids
        if isinstance(wanted, int):
            wanted = self.history[wanted]
        elif isinstance(wanted, list | tuple):
            wanted = [self.history[one] if isinstance(one, int) else one for one in wanted]
        return self.client.get_result(wanted, block, owner)

    def queue_status(self, targets: Any = None, verbose: bool = False) -> Any:
        """As `Client.queue_status`, of this view's engines."""
        return self.client.queue_status(self._mine(targets), verbose)

    def purge_results(self, jobs: Any = (), targets: Any = ()) -> None:
        """As `Client.purge_results`."""
        self.client.purge_results(jobs, targets)

    def shutdown(
        self, targets: Any = None, restart: bool = False, hub: bool = False, block: bool | None = None
    ) -> Any:
        """As `Client.shutdown`, of this view's engines."""
        return self.client.shutdown(self._mine(targets), restart, hub, self.block if block is None else block)

    def _mine(self, targets: Any) -> Any:
        """Return which engines are meant where nothing is said."""
        if targets is None:
            targets = self.targets
        return "all" if targets is None else targets

    # Decorators and executors.

    def remote(
        self, block: bool | None = None, **flags: Any
    ) -> Callable[[Callable[..., Any]], RemoteFunction]:
        """Return a decorator: the function runs on this view's engines when it is called."""
        from parallel_python.remoting.functions import remote

        return remote(self, self.block if block is None else block, **flags)

    def parallel(
        self, dist: str = "b", block: bool | None = None, **flags: Any
    ) -> Callable[[Callable[..., Any]], ParallelFunction]:
        """Return a decorator: the function gets parts of its sequences on this view's engines."""
        from parallel_python.remoting.functions import parallel

        return parallel(self, dist, self.block if block is None else block, **flags)

    @property
    def executor(self) -> ViewExecutor:
        """The view as a `concurrent.futures.Executor`."""
        if self._executor is None:
            from parallel_python.view.executor import ViewExecutor

            self._executor = ViewExecutor(self)
        return self._executor

    def __len__(self) -> int:
        if isinstance(self.targets, list | tuple | range):
            return len(self.targets)
        return 1 if isinstance(self.targets, Integral) else len(self.client)

    def __repr__(self) -> str:
        text = str(self.targets)
        if len(text) > 16:
            text = text[:12] + "...]"
        return f"<{type(self).__name__} {text}>"

    def __getstate__(self) -> object:
        raise TypeError("a view belongs to the notebook's process and cannot be sent to engines")
