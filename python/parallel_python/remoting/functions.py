"""``@remote`` and ``@parallel``: functions that run on a view's engines when they are called."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from parallel_python.client.submission import Call
from parallel_python.engine import operations
from parallel_python.view.partition import divisible, length, mapper_for

if TYPE_CHECKING:
    from parallel_python.view import LoadBalancedView
    from parallel_python.view.base import View


class RemoteFunction:
    """A function that runs on every target of a view.

    Parameters
    ----------
    view : View
        Where.
    f : callable
        The function.
    block : bool, optional
        Whether calls wait; None: as the view does.
    **flags
        The view's flags while it is called.
    """

    def __init__(self, view: View, f: Callable[..., Any], block: bool | None = None, **flags: Any) -> None:
        functools.update_wrapper(self, f)
        self.view = view
        self.func = f
        self.block = block
        self.flags = flags
        self.__doc__ = f"{type(self).__name__} wrapping:\n{f.__doc__ or ''}"
        try:
            self.__signature__ = inspect.signature(f)
        except (TypeError, ValueError):
            pass  # Some functions of C have none.

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function on the view's engines."""
        block = self.view.block if self.block is None else self.block
        # Of the view's own flags nothing is changed: other threads may use it meanwhile.
        return self.view._with(block=block, **self.flags).apply(self.func, *args, **kwargs)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {getattr(self.func, '__name__', self.func)} on {self.view!r}>"


class ParallelFunction(RemoteFunction):
    """A function that gets parts of its sequences, one part on each engine.

    Parameters
    ----------
    view : View
        Where.
    f : callable
        The function.
    dist : {'b', 'r'}
        How sequences are divided.
    block : bool, optional
        Whether calls wait; None: as the view does.
    chunksize : int, optional
        How many items a task gets; for load-balanced views.
    ordered : bool
        Whether iterating over results keeps the order of the arguments; for load-balanced views.
    return_exceptions : bool
        Whether a part that failed gives its exception.
    **flags
        The view's flags while it is called.
    """

    def __init__(
        self,
        view: View,
        f: Callable[..., Any],
        dist: str = "b",
        block: bool | None = None,
        chunksize: int | None = None,
        ordered: bool = True,
        return_exceptions: bool = False,
        **flags: Any,
    ) -> None:
        super().__init__(view, f, block, **flags)
        self.dist = dist
        self.chunksize = chunksize
        self.ordered = ordered
        self.return_exceptions = return_exceptions
        if chunksize is not None and not self._is_balanced:
            warnings.warn("`chunksize` is ignored unless load balancing", UserWarning, stacklevel=3)

    @property
    def _is_balanced(self) -> bool:
        from parallel_python.view import LoadBalancedView

        return isinstance(self.view, LoadBalancedView)

    def __call__(self, *sequences: Any) -> Any:
        """Call the function with parts of sequences, and join what it returns."""
        whole = [divisible(sequence) for sequence in sequences]
        lengths = [length(sequence) for sequence in whole]
        if len(set(lengths)) > 1:
            raise ValueError(f"all sequences must have equal length, but have {lengths}")
        return self._run(operations.map_each, whole)

    def map(self, *sequences: Iterable[Any]) -> Any:
        """Call the function with the items of sequences."""
        return self._run(operations.map_part, sequences)

    def _run(self, operation: Callable[..., Any], sequences: Any) -> Any:
        block = self.view.block if self.block is None else self.block
        view: Any = self.view._with(block=block, **self.flags)
        if not self._is_balanced:
            return view._map(self.func, sequences, self.dist, block, self.return_exceptions, None, operation)
        if operation is operations.map_part:
            options = {"chunksize": self.chunksize, "ordered": self.ordered}
            return view.map(
                self.func, *sequences, block=block, return_exceptions=self.return_exceptions, **options
            )
        return _call_balanced(view, self, sequences, block)


def _call_balanced(view: LoadBalancedView, function: ParallelFunction, sequences: Any, block: bool) -> Any:
    """Give each task a part of sequences, of `chunksize` items or such that every engine has one."""
    from parallel_python.client.mapresult import AsyncMapResult

    mapper = mapper_for(function.dist)
    n = length(sequences[0])
    if n == 0:
        return []
    count = min(n, len(view)) if not function.chunksize else -(-n // function.chunksize)
    divided = [mapper.partition(sequence, count) for sequence in sequences]
    calls: list[Call] = [
        (operations.map_each, (function.func, *parts), {}) for parts in zip(*divided, strict=True)
    ]
    parts = view._submit(calls, view.label)
    name = getattr(function.func, "__name__", "f")
    lengths = [length(part) for part in divided[0]]
    result = AsyncMapResult(
        view.client, parts, mapper, name, function.ordered, lengths, function.return_exceptions
    )
    return view._finish(result, block)


def remote(
    view: View, block: bool | None = None, **flags: Any
) -> Callable[[Callable[..., Any]], RemoteFunction]:
    """Return a decorator: the function runs on a view's engines when it is called."""

    def decorate(f: Callable[..., Any]) -> RemoteFunction:
        return RemoteFunction(view, f, block, **flags)

    return decorate


def parallel(
    view: View, dist: str = "b", block: bool | None = None, ordered: bool = True, **flags: Any
) -> Callable[[Callable[..., Any]], ParallelFunction]:
    """Return a decorator: the function gets parts of its sequences on a view's engines.

    Parameters
    ----------
    view : View
        Where.
    dist : {'b', 'r'}
        How sequences are divided.
    block : bool, optional
        Whether calls wait; None: as the view does.
    ordered : bool
        Whether iterating over results keeps the order of the arguments; for load-balanced views.
    **flags
        ``chunksize``, ``return_exceptions``, and the view's flags.
    """

    def decorate(f: Callable[..., Any]) -> ParallelFunction:
        return ParallelFunction(view, f, dist, block, ordered=ordered, **flags)

    return decorate
