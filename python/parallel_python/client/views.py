"""What views of its engines a client gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallel_python.client.targets import is_one

if TYPE_CHECKING:
    from parallel_python.client.client import Client
    from parallel_python.view import BroadcastView, DirectView, LoadBalancedView
    from parallel_python.view.executor import ViewExecutor


class Views:
    """A part of `parallel_python.client.client.Client`."""

    def direct_view(self, targets: Any = "all", **flags: Any) -> DirectView:
        """Return a view of engines that each do what is asked.

        Parameters
        ----------
        targets : int, slice, list of int, 'all' or None
            An int makes results bare values; ``'all'`` means all that there are when something is asked.
        **flags
            ``block``, ``track``.
        """
        from parallel_python.view import DirectView

        return DirectView(self._client, self._fixed(targets), **flags)

    def load_balanced_view(self, targets: Any = None, **flags: Any) -> LoadBalancedView:
        """Return a view that gives each task to one engine, whichever is free.

        Parameters
        ----------
        targets : int, slice, list of int, 'all' or None
            Which engines may be used; None: all.
        **flags
            ``block``, ``track``, ``retries``, ``timeout``, ``after``, ``follow``.
        """
        from parallel_python.view import LoadBalancedView

        every = targets is None or (isinstance(targets, str) and targets.lower() == "all")
        return LoadBalancedView(self._client, None if every else self._targets(targets), **flags)

    def broadcast_view(
        self, targets: Any = "all", is_coalescing: bool = False, **flags: Any
    ) -> BroadcastView:
        """Return a view that sends one message for all engines (as every view of several engines does here).

        Parameters
        ----------
        targets : int, slice, list of int, 'all' or None
            The engines, as of now.
        is_coalescing : bool
            Accepted; results keep the engines' order and errors are raised, whatever it says.
        **flags
            ``block``, ``track``.
        """
        from parallel_python.view import BroadcastView

        view = BroadcastView(self._client, self._targets(targets), **flags)
        view.is_coalescing = is_coalescing
        return view

    def executor(self, targets: Any = None) -> ViewExecutor:
        """Return a `concurrent.futures.Executor` that gives each call to one engine."""
        return self.load_balanced_view(targets).executor

    def activate(self, targets: Any = "all", suffix: str = "") -> DirectView:
        """Have the magics ``%px``, ``%autopx`` … with a suffix use a blocking view of these engines.

        Returns
        -------
        DirectView
            The view.
        """
        view = self.direct_view(targets, block=True)
        view.activate(suffix)
        return view

    def _fixed(self, targets: Any) -> Any:
        if targets is None or (isinstance(targets, str) and targets.lower() == "all"):
            return targets
        found = self._targets(targets)
        return found[0] if is_one(targets) else found

    if TYPE_CHECKING:

        @property
        def _client(self) -> Client: ...
        def _targets(self, targets: Any) -> list[int]: ...
