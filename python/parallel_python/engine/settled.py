"""What IPython keeps for every cell, at the price of plain attributes.

A trait is read by two calls of Python, and a short cell reads fifty. Those named here are set by IPython
itself, are in nobody's configuration and are watched by nobody. **Invariant**: what cells can see is the same
as with IPython's own classes.
"""

from __future__ import annotations

import builtins

from IPython.core.builtin_trap import BuiltinTrap, BuiltinUndefined, HideBuiltin
from IPython.core.display_trap import DisplayTrap
from IPython.core.history import HistoryManager
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import MagicsManager
from IPython.core.payload import PayloadManager


class SettledHistory(HistoryManager):
    """IPython's history."""

    shell = None
    input_hist_parsed = input_hist_raw = db_input_cache = None
    _i = _ii = _iii = _i00 = ""


class SettledMagics(MagicsManager):
    """IPython's table of magics."""

    magics = None


class SettledPayloads(PayloadManager):
    """What a cell has for the notebook beside its output."""

    _payload = None


class SettledDisplayTrap(DisplayTrap):
    """Has values of expressions displayed."""

    hook = None


class SettledBuiltins(BuiltinTrap):
    """Puts ``get_ipython`` among the builtins and takes ``exit`` and ``quit`` out, while a cell runs."""

    def activate(self) -> None:
        """Do what `BuiltinTrap.add_builtin` does, for all names."""
        known, former = vars(builtins), self._orig_builtins
        for name, value in self.auto_builtins.items():
            if value is not HideBuiltin:
                former[name] = known.get(name, BuiltinUndefined)
                known[name] = value
            elif name in known:
                former[name] = known.pop(name)

    def deactivate(self) -> None:
        """Do what `BuiltinTrap.remove_builtin` does, for all names."""
        known, former = vars(builtins), self._orig_builtins
        for name, value in former.items():
            if value is BuiltinUndefined:
                del known[name]
            else:
                known[name] = value
        former.clear()


def settle(shell: InteractiveShell) -> None:
    """Have a shell's helpers be of the classes above."""
    for name, settled in (
        ("history_manager", SettledHistory),
        ("magics_manager", SettledMagics),
        ("payload_manager", SettledPayloads),
        ("display_trap", SettledDisplayTrap),
        ("builtin_trap", SettledBuiltins),
    ):
        helper = getattr(shell, name)
        values = {trait: getattr(helper, trait) for trait in vars(settled) if helper.has_trait(trait)}
        helper.__class__ = settled
        vars(helper).update(values)
