"""The parallel magics as the notebook's own shell knows them: each one calls the kernel.

What the words after a magic mean is decided in the kernel, by the same code that runs whole parallel cells.

**Invariant**: every set of magics that is active is one `ParallelMagics` object, of which the entries in
IPython's magics manager are bound methods.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from types import MethodType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from IPython.core.error import UsageError
from IPython.core.magic import MAGIC_NO_VAR_EXPAND_ATTR

from parallel_python.client.targets import is_one

from . import captured
from .interrupted import Interrupted
from .kernel import LocalKernel
from .session import header_bytes

if TYPE_CHECKING:
    from parallel_python.client.asyncresult import AsyncResult

F = TypeVar("F", bound=Callable[..., Any])

# name, whether there is a line magic, whether there is a cell magic, whether sets with a suffix have it, help
Spec = tuple[str, bool, bool, bool, str]

# All that follows is code for the engines: `{x}` and `$x` in it are the user's.
TAKEN_AS_TYPED = {"px"}


class LocalRunError(Exception):
    """The notebook's own run of a ``%%px --local`` cell failed, and has been shown."""

    def _render_traceback_(self) -> list[str]:
        return [f"\x1b[0;31mLocalRunError\x1b[0m: {self}"]


class ParallelMagics:
    """The magics of one set: ``%px`` and its kin, or ``%px_x`` and its kin.

    Attributes
    ----------
    view : DirectView or None
        The view that was activated; None for the magics as they are when the kernel starts.
    suffix : str
        What its magics' names end in.
    """

    def __init__(self, kernel: LocalKernel, suffix: str = "", view: Any = None) -> None:
        self.kernel = kernel
        self.suffix = suffix
        self.view = view

    def follow(self) -> None:
        """Tell the kernel what the view's targets are, unless another view has taken this set over."""
        if _Registry.active.get(self.suffix) is self:
            targets = _as_typed(self.view.targets)
            self.kernel.session.link.activate(self.suffix, targets, bool(self.view.block))

    def call(self, name: str, line: str, cell: str | None) -> AsyncResult | None:
        """Have the kernel run a magic, and wait until all that it shows has been shown.

        Returns
        -------
        AsyncResult or None
            The magic's value, where it did not wait for the engines.
        """
        sys.stdout.flush()
        link = self.kernel.session.link
        parent = header_bytes(self.kernel.get_parent("shell"))
        try:
            shown, (how, *details) = link.call(
                name, line, cell, parent, captured.is_captured(self.kernel.shell)
            )
        except KeyboardInterrupt:
            raise Interrupted from None
        failed_here = False
        if how == "here":
            result = self.kernel.shell.run_cell(cell)
            failed_here = not result.success
            sys.stdout.flush()
            shown, (how, *details) = link.resume(details[0])
        captured.show(self.kernel.shell, shown)
        if how == "failed":
            from .failures import failure

            raise failure(*details)
        if how == "usage":
            raise UsageError(details[0])
        if how == "interrupted":
            raise Interrupted
        if failed_here:
            raise LocalRunError("the cell failed in the notebook's own Python; its error is shown above")
        if how == "configured":
            configured(*details)
        if how != "result":
            return None
        from parallel_python.client import recall_px

        task, variable, show = details
        result = recall_px(task)
        if variable is not None:
            self.kernel.shell.push({variable: result}, interactive=True)
        return result if show else None


class _Registry:
    """What the kernel said its magics are; there is one shell, and so one of these."""

    kernel: LocalKernel | None = None
    specs: Sequence[Spec] = ()
    # By suffix, what a view was activated for.
    active: ClassVar[dict[str, ParallelMagics]] = {}


def register(kernel: LocalKernel, specs: list[Spec]) -> None:
    """Make the kernel's magics known to the shell.

    Parameters
    ----------
    kernel : LocalKernel
        Its shell gets the magics, its link takes the calls.
    specs : list of tuple
        As the kernel sent them.
    """
    _Registry.kernel, _Registry.specs = kernel, specs
    _register(ParallelMagics(kernel), specs)


def activate(view: Any, suffix: str = "") -> ParallelMagics | None:
    """Let a view take over a set of magics, or make it one: what ``view.activate(suffix)`` does.

    Parameters
    ----------
    view : DirectView
        The view, to be found again as ``magics_manager.magics["cell"]["px"].__self__.view``. When its targets
        or its `block` are changed later, the magics follow.
    suffix : str
        What the magics' names end in; empty for ``%px`` itself.

    Returns
    -------
    ParallelMagics or None
        None where this is not the notebook's own Python.
    """
    kernel = _Registry.kernel
    if kernel is None:
        return None
    if not f"_{suffix}".isidentifier():
        raise ValueError(f"{suffix!r} cannot end the name of a magic: write letters, digits and `_`")
    magics = ParallelMagics(kernel, suffix, view)
    _register(magics, [spec for spec in _Registry.specs if spec[3] or not suffix])
    _Registry.active[suffix] = magics
    magics.follow()
    followers = vars(view).setdefault("_followers", [])
    followers.append(magics.follow)
    return magics


def configured(suffix: str, targets: bytes | None, block: bool | None) -> None:
    """Give the view that is active what ``%pxconfig`` has said, without telling the kernel, which knows.

    Parameters
    ----------
    suffix : str
        What the magics' names end in.
    targets : bytes or None
        The new targets as JSON; None where they stay.
    block : bool or None
        Whether calls wait for their result; None where that stays.
    """
    magics = _Registry.active.get(suffix)
    if magics is None:
        return
    if targets is not None:
        object.__setattr__(magics.view, "targets", json.loads(targets))
    if block is not None:
        object.__setattr__(magics.view, "block", block)


def _register(magics: ParallelMagics, specs: list[Spec]) -> None:
    manager = magics.kernel.shell.magics_manager
    for name, has_line, has_cell, _, text in specs:
        full = name + magics.suffix
        if has_line:
            manager.register_function(_line_magic(magics, name, full, text), "line", full)
        if has_cell:
            manager.register_function(_cell_magic(magics, full, text), "cell", full)


def _line_magic(magics: ParallelMagics, name: str, full: str, text: str) -> Callable[[str], Any]:
    def line_magic(self: ParallelMagics, line: str) -> AsyncResult | None:
        return self.call(full, line, None)

    if name in TAKEN_AS_TYPED:
        setattr(line_magic, MAGIC_NO_VAR_EXPAND_ATTR, True)
    return MethodType(_named(line_magic, full, text), magics)


def _cell_magic(magics: ParallelMagics, full: str, text: str) -> Callable[[str, str], Any]:
    def cell_magic(self: ParallelMagics, line: str, cell: str) -> AsyncResult | None:
        return self.call(full, line, cell)

    return MethodType(_named(cell_magic, full, text), magics)


def _named(function: F, name: str, text: str) -> F:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    return function


def _as_typed(targets: Any) -> str:
    """Return a view's targets as they are typed after ``--targets``."""
    if targets is None:
        return "all"
    if isinstance(targets, str) or is_one(targets):
        return str(targets)
    return str([int(target) for target in targets])
