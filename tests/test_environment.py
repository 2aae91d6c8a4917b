"""What a person sets up around a notebook: configuration, startup files, extensions, packages, GUIs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from notebook import Notebook

LAZY = ["--engines", "lazy"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An IPYTHONDIR with configuration, startup files and an extension."""
    home = tmp_path_factory.mktemp("ipython")
    profile = home / "profile_default"
    (profile / "startup").mkdir(parents=True)
    (profile / "startup" / "10-first.py").write_text("from_startup = [1]\n")
    (profile / "startup" / "20-second.ipy").write_text(
        "from_startup.append(2)\n%config Completer.use_jedi = False\n"
    )
    (profile / "ipython_config.py").write_text(
        "c.InteractiveShellApp.exec_lines = ['from_config = 3']\n"
        "c.InteractiveShell.ast_node_interactivity = 'all'\n"
    )
    (profile / "ipython_kernel_config.py").write_text(
        "c.IPKernelApp.exec_lines = ['from_kernel_config = 4']\n"
        "c.IPKernelApp.extensions = ['an_extension']\n"
        "c.InlineBackend.figure_formats = {'svg'}\n"
    )
    (home / "modules").mkdir()
    (home / "modules" / "an_extension.py").write_text(
        "loads = []\n"
        "def load_ipython_extension(shell):\n    loads.append('load')\n"
        "def unload_ipython_extension(shell):\n    loads.append('unload')\n"
    )
    return home


@pytest.fixture(scope="module")
def own(home: Path) -> Iterator[Notebook]:
    """A kernel whose user has configured it."""
    environment = {"IPYTHONDIR": str(home), "PYTHONPATH": str(home / "modules")}
    with Notebook(engines=1, arguments=LAZY, environment=environment) as notebook:
        yield notebook


def test_configuration_and_startup_files_are_honoured(own: Notebook, home: Path) -> None:
    cell = own.ok("from_startup\nfrom_kernel_config\nget_ipython().Completer.use_jedi")
    # The kernel's own file wins over the shells' one, as it does in ipykernel; every expression is shown.
    assert cell.results == ["[1, 2]", "4", "False"]
    assert own.ok("%matplotlib inline\n%config InlineBackend.figure_formats").results == ["{'svg'}"]
    assert own.ok("get_ipython().history_manager.hist_file").results == [
        f"PosixPath('{home}/profile_default/history.sqlite')"
    ]


def test_extensions_load_reload_and_unload(own: Notebook) -> None:
    assert own.ok("import an_extension\nan_extension.loads").results == ["['load']"]
    assert "already loaded" in own.ok("%load_ext an_extension").stdout
    own.ok("%unload_ext an_extension")
    assert own.ok("an_extension.loads").results == ["['load', 'unload']"]
    own.ok("%reload_ext an_extension")
    assert own.ok("an_extension.loads").results == ["['load', 'unload', 'load']"]
    assert own.fails("%load_ext no_such_extension").reply["content"]["ename"] == "ModuleNotFoundError"


def test_run_and_autoreload(own: Notebook, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys\nprint(sys.argv[1:])\nresult = 6 * 7\n")
    cell = own.ok(f"%run {script} one two\nresult")
    assert cell.stdout == "['one', 'two']\n"
    assert cell.results == ["42"]
    script.write_text("def broken():\n    1/0\nbroken()\n")
    # IPython shows the script's error and goes on.
    cell = own.ok(f"%run {script}")
    assert "script.py" in cell.error and "1/0" in cell.error

    module = tmp_path / "changing_module.py"
    module.write_text("def answer():\n    return 'before'\n")
    own.ok(
        f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n%load_ext autoreload\n%autoreload 2\n"
        "import changing_module"
    )
    assert own.ok("changing_module.answer()").results == ["'before'"]
    # Another length and another time: whichever of them is looked at.
    module.write_text("def answer():\n    return 'and after'\n")
    own.ok(f"import os; os.utime({str(module)!r}, (2e9, 2e9))")
    assert own.ok("changing_module.answer()").results == ["'and after'"]


def test_pip_works_in_the_cells_own_python(own: Notebook, tmp_path: Path) -> None:
    cell = own.ok("%pip --version\nimport sys; print(sys.prefix)")
    version, prefix = cell.stdout.strip().splitlines()[0], cell.stdout.strip().splitlines()[-1]
    assert version.startswith("pip ") and prefix in version
    package = tmp_path / "package"
    package.mkdir()
    (package / "pyproject.toml").write_text(
        "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
    )
    # A wheel is a zip file: this backend needs nothing that is not there.
    (package / "backend.py").write_text(
        "import zipfile\n"
        "def build_wheel(folder, config_settings=None, metadata_directory=None):\n"
        "    name, info = 'tiny_of_test-1.0-py3-none-any.whl', 'tiny_of_test-1.0.dist-info'\n"
        "    with zipfile.ZipFile(f'{folder}/{name}', 'w') as wheel:\n"
        "        wheel.writestr('tiny_of_test.py', 'ANSWER = 42')\n"
        "        wheel.writestr(f'{info}/METADATA', 'Metadata-Version: 2.1\\nName: tiny-of-test\\n'\n"
        "                       'Version: 1.0\\n')\n"
        "        wheel.writestr(f'{info}/WHEEL', 'Wheel-Version: 1.0\\nGenerator: x\\n'\n"
        "                       'Root-Is-Purelib: true\\nTag: py3-none-any\\n')\n"
        "        wheel.writestr(f'{info}/RECORD', '')\n"
        "    return name\n"
    )
    target = tmp_path / "target"
    cell = own.ok(f"%pip install --no-index --no-build-isolation --target {target} {package}", timeout=120)
    assert "Successfully installed tiny-of-test-1.0" in cell.stdout
    assert own.ok(
        f"sys.path.insert(0, {str(target)!r})\nimport tiny_of_test\ntiny_of_test.ANSWER"
    ).results == ["42"]


def test_gui_loops(own: Notebook) -> None:
    """One that is not there is named, as in ipykernel, and cells go on."""
    assert own.ok("%gui asyncio\nimport asyncio\nawait asyncio.sleep(0.01)\n1").results == ["1"]
    own.ok("%gui")
    assert "Invalid GUI request 'no_such_toolkit'" in own.ok("%gui no_such_toolkit").stderr
    assert "Could not load requested Qt binding" in own.ok("%gui qt6").stderr
    assert own.ok("2").results == ["2"]
