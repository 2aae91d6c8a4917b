"""Making a class whose definition has run already, elsewhere.

What ran then, a base's ``__init_subclass__`` or a metaclass that was typed in too, has left its result in
what the class had. **Invariant**: none of it runs again here, where the keywords it was given are not known;
classes that other threads define at the same time are not touched.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic

from parallel_python.serialize.naming import goes_by_value

#: Held while hooks are put aside. Who reads what a class has holds it too, so that none is found put aside.
settled = threading.RLock()

#: Set in ``__flags__`` of classes that cannot be changed.
_IMMUTABLE_TYPE = 1 << 8

_HOOK = "__init_subclass__"


def new_class(
    meta: Any, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **keywords: Any
) -> type:
    """Make a class of this metaclass, as ``class`` would, except for what has run when it was defined."""
    with _without_hooks(bases):
        maker = maker_of(meta)
        if maker is meta:
            made: type = meta(name, bases, namespace, **keywords)
        else:
            made = maker.__new__(meta, name, bases, namespace, **keywords)
        return made


def maker_of(meta: type) -> Any:
    """Return the metaclass that makes the class: the nearest one of a module."""
    if meta.__name__ == "_TypedDictMeta":
        # It refuses the bases that it gives to what it makes; it adds nothing that is not in the namespace.
        return type
    return next(kind for kind in meta.__mro__ if not goes_by_value(kind))


@contextmanager
def _without_hooks(bases: tuple[type, ...]) -> Iterator[None]:
    """Have no hook of these bases run in this thread."""
    classes = {cls for base in bases for cls in base.__mro__ if _HOOK in cls.__dict__}
    # The hook of `Generic` takes no keywords, and is satisfied by what the class had.
    owners = [cls for cls in classes if cls is not Generic and not cls.__flags__ & _IMMUTABLE_TYPE]
    if not owners:
        yield
        return
    with settled:
        hooks = {owner: owner.__dict__[_HOOK] for owner in owners}
        try:
            for owner, hook in hooks.items():
                type.__setattr__(owner, _HOOK, classmethod(_only_elsewhere(hook, threading.get_ident())))
            yield
        finally:
            for owner, hook in hooks.items():
                type.__setattr__(owner, _HOOK, hook)


def _only_elsewhere(hook: Any, thread: int) -> Callable[..., None]:
    def run(cls: type, /, **keywords: Any) -> None:
        if threading.get_ident() != thread:
            hook.__get__(None, cls)(**keywords)

    return run
