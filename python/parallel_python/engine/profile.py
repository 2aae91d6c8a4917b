"""The user's IPython profile: configuration and start-up files, as the notebook's own Python honours them.

Nothing is created: an engine that finds no profile does without, whatever the state of the home folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from traitlets.config import Config

if TYPE_CHECKING:
    from IPython.core.application import ProfileDir
    from IPython.core.interactiveshell import InteractiveShell


def find() -> Path | None:
    """Return the folder of the default profile, if there is one."""
    from IPython.paths import get_ipython_dir

    try:
        folder = Path(get_ipython_dir()) / "profile_default"
    except OSError:
        return None
    return folder if folder.is_dir() else None


def is_configured(folder: Path | None) -> bool:
    """Tell whether the profile has configuration, which is code of the user's."""
    return bool(_configurations(folder))


def configuration(folder: Path | None) -> Config:
    """Read the profile's configuration, and set what an engine cannot do without."""
    config = Config()
    for file in _configurations(folder):
        config.merge(_read(file))
    # Every engine writing the same database would only slow all of them down.
    config.HistoryManager.enabled = False
    config.HistoryManager.hist_file = ":memory:"
    return config


def _configurations(folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    files = [folder / f"{name}.py" for name in ("ipython_config", "ipython_kernel_config", "ipengine_config")]
    return [file for file in files if file.is_file()]


def _read(file: Path) -> Config:
    from traitlets.config.loader import PyFileConfigLoader

    try:
        return PyFileConfigLoader(file.name, str(file.parent)).load_config()
    except Exception as error:
        print(f"{file} is passed over: {type(error).__name__}: {error}")
        return Config()


def location(folder: Path | None) -> ProfileDir:
    """Return the profile in the form in which IPython's shell wants it."""
    from IPython.core.profiledir import ProfileDir

    class Found(ProfileDir):
        """A profile of which no folder is made or checked."""

        def _location_changed(self, change: object) -> None:
            """Do not make the folder."""

        def check_dirs(self) -> None:
            """Do not make the folders in it."""

    found = Found()
    found.set_trait("location", str(folder or Path("~/.ipython/profile_default").expanduser()))
    return found


def run_startup_code(shell: InteractiveShell, folder: Path | None) -> None:
    """Run the profile's start-up files, in the order of their names, then what it has for engines alone.

    That is ``c.IPEngine.startup_script`` and ``c.IPEngine.startup_command``, as in ipyparallel.
    """
    paths = sorted((folder / "startup").glob("*")) if folder is not None else []
    for path in paths:
        _run_file(shell, path)
    engine = shell.config.IPEngine
    if script := engine.get("startup_script"):
        _run_file(shell, Path(script).expanduser())
    if command := engine.get("startup_command"):
        shell.run_cell(command, store_history=False)


def _run_file(shell: InteractiveShell, path: Path) -> None:
    if path.suffix == ".py":
        shell.safe_execfile(str(path), shell.user_ns)
    elif path.suffix == ".ipy":
        shell.safe_execfile_ipy(str(path))
