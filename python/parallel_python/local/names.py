"""What the notebook's namespace has, for a hint when engines do not know a name."""

from __future__ import annotations

from types import ModuleType

from IPython.core.interactiveshell import InteractiveShell


def known(shell: InteractiveShell, name: str) -> tuple[bool, str | None]:
    """Look up a name of the user's; nothing is evaluated.

    Parameters
    ----------
    shell : InteractiveShell
        The notebook's own shell.
    name : str
        The name.

    Returns
    -------
    bool
        Whether the user has given it a value. What IPython puts there itself does not count.
    str or None
        The module's name, if it is one.
    """
    if name not in shell.user_ns or name in shell.user_ns_hidden:
        return False, None
    value = shell.user_ns[name]
    return True, value.__name__ if isinstance(value, ModuleType) else None
