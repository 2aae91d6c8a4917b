"""A view as a backend of joblib: ``with joblib.parallel_backend('ipyparallel'): Parallel()(…)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parallel_python.cluster.cluster import Cluster
    from parallel_python.view.balanced import LoadBalancedView


def _make_backend() -> type:
    """Return the backend's class; joblib is imported only where it is used."""
    from joblib.parallel import AutoBatchingMixin, ParallelBackendBase

    class IPythonParallelBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]
        """Runs joblib's batches as load-balanced tasks."""

        #: Where nothing is said, all engines work: who names this backend means them.
        default_n_jobs = -1
        supports_sharedmem = False
        supports_timeout = True
        uses_threads = False

        def __init__(self, view: LoadBalancedView | None = None, **options: Any) -> None:
            super().__init__(**options)
            self._view = view
            self._chosen: LoadBalancedView | None = None

        @property
        def view(self) -> LoadBalancedView:
            """The view; without one, all engines, which are started where there are none."""
            if self._view is None:
                self._view = _all_engines()
            return self._view

        def effective_n_jobs(self, n_jobs: int | None) -> int:
            """Return how many tasks run at once: as many as there are engines, at most."""
            engines = len(self.view)
            if n_jobs is None:
                return engines
            if n_jobs == 0:
                raise ValueError("n_jobs == 0 in Parallel has no meaning")
            return max(1, engines + 1 + n_jobs) if n_jobs < 0 else min(n_jobs, engines)

        def configure(self, n_jobs: int = 1, parallel: Any = None, **options: Any) -> int:
            """Take note of who asks; return how many tasks run at once.

            joblib dispatches more than that ahead, so no more engines than that may be used.
            """
            self.parallel = parallel
            count = self.effective_n_jobs(n_jobs)
            engines = self.view.client._targets(self.view.targets)
            self._chosen = self.view._with(targets=engines[:count]) if count < len(engines) else None
            return count

        def submit(self, func: Callable[[], Any], callback: Callable[[Any], None] | None = None) -> Any:
            """Have a batch run."""
            result = (self._chosen or self.view).apply_async(_Batch(func))
            if callback is not None:
                result.add_done_callback(lambda done: callback(done))
            return result

        apply_async = submit

        def abort_everything(self, ensure_ready: bool = True) -> None:
            """Take back what has not begun."""
            self.view.abort(block=True)

    return IPythonParallelBackend


#: The engines that were started because there were none: they stay for the next call, and end with the
#: process.
_started: list[Cluster] = []


def _all_engines() -> LoadBalancedView:
    """Return a view of the engines that there are, or of such that are started."""
    from parallel_python.client.client import Client
    from parallel_python.client.connecting import has_own_engines
    from parallel_python.client.registry import entries

    if has_own_engines():
        return Client().load_balanced_view()
    from parallel_python.cluster.cluster import Cluster
    from parallel_python.cluster.twins import run

    if any(engines.running for cluster in _started for engines in cluster.engines.values()):
        client: Client = run(_started[0].connect_client())
    elif entries():
        client = Client()
    else:
        _started[:] = [Cluster()]
        client = run(_started[0].start_and_connect())
    return client.load_balanced_view()


class _Batch:
    """A batch under a name that joblib's own objects lack."""

    __name__ = "joblib"

    def __init__(self, call: Callable[[], Any]) -> None:
        self.call = call

    def __call__(self) -> Any:
        return self.call()


def register(
    name: str = "ipyparallel", *, view: LoadBalancedView | None = None, make_default: bool = False
) -> None:
    """Make a view known to joblib under a name."""
    from joblib.parallel import register_parallel_backend

    backend = _make_backend()
    register_parallel_backend(
        name, lambda **options: backend(view=view, **options), make_default=make_default
    )


def register_joblib_backend(name: str = "ipyparallel", make_default: bool = False) -> None:
    """Make the notebook's engines a backend of joblib.

    Parameters
    ----------
    name : str
        What ``joblib.parallel_backend`` is given.
    make_default : bool
        Whether joblib uses it where nothing is said.
    """
    register(name, make_default=make_default)
