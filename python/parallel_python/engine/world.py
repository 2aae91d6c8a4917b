"""`MPI`, `mpi_rank` and `mpi_size` in the user's namespace."""

from __future__ import annotations

from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _parallel_python import Engine


class LazyMPI(ModuleType):
    """Stands for ``mpi4py.MPI`` until something of it is used, because importing it takes its time."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        super().__init__("MPI", "mpi4py.MPI, imported when it is first used.")
        self.__dict__["_namespace"] = namespace

    def __getattr__(self, name: str) -> Any:
        from mpi4py import MPI

        if self._namespace.get("MPI") is self:
            self._namespace["MPI"] = MPI
        return getattr(MPI, name)

    def __dir__(self) -> list[str]:
        from mpi4py import MPI

        return dir(MPI)


def names(engine: Engine, namespace: dict[str, Any]) -> dict[str, Any]:
    """Return what every engine's namespace begins with.

    Parameters
    ----------
    engine : Engine
        This rank's engine.
    namespace : dict
        The user's namespace, where the real ``mpi4py.MPI`` will take its stand-in's place.
    """
    found: dict[str, Any] = {"mpi_rank": engine.rank, "mpi_size": engine.size}
    if find_spec("mpi4py") is not None:
        found["MPI"] = LazyMPI(namespace)
    return found
