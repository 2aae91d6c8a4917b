"""What a task needs before it can run: modules, objects, a condition, or the end of other tasks."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from parallel_python.client.asyncresult import AsyncResult
from parallel_python.client.errors import UnmetDependency
from parallel_python.serialize.functions import main_namespace


class dependent:
    """A function that runs only where a condition holds.

    Parameters
    ----------
    f : callable
        The function.
    df : callable
        The condition: anything but False means that it holds.
    *dargs, **dkwargs
        The condition's arguments.
    """

    def __init__(
        self, _wrapped_f: Callable[..., Any], _wrapped_df: Callable[..., Any], *dargs: Any, **dkwargs: Any
    ) -> None:
        self.f = _wrapped_f
        self.df = _wrapped_df
        self.dargs = dargs
        self.dkwargs = dkwargs
        self.__name__ = getattr(_wrapped_f, "__name__", "f")
        self.__doc__ = getattr(_wrapped_f, "__doc__", None)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it, if the condition holds here."""
        if self.df(*self.dargs, **self.dkwargs) is False:
            raise UnmetDependency(f"`{self.__name__}` cannot run here: what it depends on does not hold")
        return self.f(*args, **kwargs)


def depend(
    _wrapped_f: Callable[..., Any], *args: Any, **kwargs: Any
) -> Callable[[Callable[..., Any]], dependent]:
    """Return a decorator: the function runs only on engines where a condition is not False.

    Parameters
    ----------
    f : callable
        The condition.
    *args, **kwargs
        Its arguments.
    """

    def decorate(function: Callable[..., Any]) -> dependent:
        return dependent(function, _wrapped_f, *args, **kwargs)

    return decorate


def _provide(*names: str, objects: list[tuple[str, Any]]) -> bool:
    """Import modules and bind objects, in the engine's namespace; whether that was possible."""
    namespace = main_namespace()
    for name in names:
        try:
            namespace[name.partition(".")[0]] = importlib.import_module(name.partition(".")[0])
            importlib.import_module(name)
        except ImportError:
            return False
    namespace.update(objects)
    return True


def require(*objects: Any, **mapping: Any) -> Callable[[Callable[..., Any]], dependent]:
    """Return a decorator: before the function runs, modules are imported and objects bound on the engine.

    Parameters
    ----------
    *objects : str, module, function or class
        Modules (by name or themselves), or what is to be bound under its own name.
    **mapping
        What is to be bound, by name.
    """
    names: list[str] = []
    for found in objects:
        if isinstance(found, ModuleType):
            names.append(found.__name__)
        elif isinstance(found, str):
            names.append(found)
        elif hasattr(found, "__name__"):
            mapping[found.__name__] = found
        else:
            raise TypeError(f"Objects to be required must have a __name__: {found!r} has none")
    return depend(functools.partial(_provide, *names, objects=list(mapping.items())))


class Dependency(set[str]):
    """Tasks that others wait for, and how they have to end.

    Parameters
    ----------
    dependencies : iterable of str, AsyncResult or Dependency
        The tasks.
    all : bool
        Whether all have to end, or any one.
    success, failure : bool
        Which ends count.
    """

    def __init__(
        self, dependencies: Any = (), all: bool = True, success: bool = True, failure: bool = False
    ) -> None:
        if not (success or failure):
            raise ValueError("Must depend on at least one of successes or failures!")
        self.all, self.success, self.failure = all, success, failure
        if isinstance(dependencies, dict):
            self.all, self.success, self.failure = (
                dependencies[key] for key in ("all", "success", "failure")
            )
            dependencies = dependencies["dependencies"]
        if isinstance(dependencies, str | AsyncResult):
            dependencies = [dependencies]
        super().__init__(_ids(dependencies))

    def check(self, completed: Iterable[str], failed: Iterable[str] | None = None) -> bool:
        """Tell whether the tasks have ended as they have to."""
        if not self:
            return True
        against = self._counting(set(completed), set(failed or ()))
        return self <= against if self.all else bool(self & against)

    def unreachable(self, completed: Iterable[str], failed: Iterable[str] | None = None) -> bool:
        """Tell whether the tasks can no longer end as they have to."""
        if not self:
            return False
        wrong: set[str] = set()
        if not self.success:
            wrong |= set(completed)
        if not self.failure:
            wrong |= set(failed or ())
        return bool(self & wrong) if self.all else self <= wrong

    def _counting(self, completed: set[str], failed: set[str]) -> set[str]:
        return (completed if self.success else set()) | (failed if self.failure else set())

    def as_dict(self) -> dict[str, Any]:
        """Return what it says as plain data."""
        return {
            "dependencies": list(self),
            "all": self.all,
            "success": self.success,
            "failure": self.failure,
        }


def _ids(dependencies: Iterable[Any]) -> Iterable[str]:
    for one in dependencies:
        if isinstance(one, str):
            yield one
        elif isinstance(one, AsyncResult):
            yield from one.msg_ids
        elif isinstance(one, set | list | tuple):
            yield from _ids(one)
        else:
            raise TypeError(f"Invalid dependency: {one!r}: tasks are named by their ids or results")
