"""Run the tests on every MPI, every Python and through both doors that this machine has: ``make matrix``.

MPIs are the two of ``tools/mpi-env`` and whatever `mpiexec` is on PATH; as root on Debian also the
distribution's two, installed where nothing of it stays (``tools/overlay``). Pythons are those of the system,
of pyenv and of uv from 3.11 on, each as a virtual environment of its own, and one that was made from such an
environment. With ``--whole`` it is every test there is, with the project's own Python, on every MPI.
Prints a table; what each run said is in build/matrix/logs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "matrix"
OWN = ROOT / ".venv" / "bin" / "python"
QUICK = ["tests/test_pythons.py", "tests/test_mpi4py.py"]
FULL = [*QUICK, "tests/test_px.py", "tests/test_engine_cells.py", "tests/test_faults.py"]
DEBIAN = "mpich openmpi-bin"

#: Some tests choose their MPI themselves: they are the same in every combination.
CHOSEN = "not whatever_the_environment_holds and not of_another_mpi"

#: What cells of the tests import; the versions are those of requirements.txt.
PACKAGES = ["ipykernel", "ipywidgets", "matplotlib", "mpi4py", "numpy", "pip", "setuptools"]

FACTS = """
import json, sys
print(json.dumps({"version": list(sys.version_info[:3])}))
"""


@dataclass(frozen=True)
class Python:
    """An environment to run cells in."""

    label: str
    executable: Path


@dataclass(frozen=True)
class Mpi:
    """An MPI to run engines on."""

    label: str
    mpiexec: Path


def answer(command: list[str]) -> str:
    """Return what a command prints, nothing if it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def bases() -> dict[str, Path]:
    """Every Python from 3.11 on that this machine has, by a name for people."""
    home = Path.home()
    candidates = [Path("/usr/bin/python3"), Path("/usr/local/bin/python3")]
    candidates += sorted(home.glob(".pyenv/versions/*/bin/python3"))
    candidates += sorted(home.glob(".local/share/uv/python/*/bin/python3"))
    candidates += [Path(sys.base_prefix) / "bin" / "python3"]
    found: dict[Path, str] = {}
    for candidate in candidates:
        if not candidate.exists() or candidate.resolve() in found:
            continue
        facts = json.loads(answer([str(candidate), "-I", "-c", FACTS]) or "{}")
        if tuple(facts.get("version", ())) >= (3, 11):
            version = ".".join(map(str, facts["version"]))
            linked = "libpython" in answer(["ldd", str(candidate.resolve())])
            origin = "system " if candidate.is_relative_to("/usr") else ""
            found[candidate.resolve()] = f"{origin}{version}{'' if linked else ' static'}"
    return {label: path for path, label in found.items()}


def environment(label: str, base: Path) -> Python | None:
    """Return a virtual environment made from a Python, with what cells need; made when it is not there."""
    folder = BUILD / re.sub(r"\W+", "-", label)
    python = folder / "bin" / "python"
    if not (folder / ".complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        constraints = BUILD / "constraints.txt"
        pins = (ROOT / "tools" / "requirements.txt").read_text()
        constraints.write_text(pins)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        install += ["--root-user-action", "ignore", "--constraint", str(constraints), *PACKAGES]
        for command in ([str(base), "-m", "venv", str(folder)], install):
            ran = subprocess.run(command, capture_output=True, text=True, check=False)
            if ran.returncode:
                print(f"{label} is left out: {ran.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
                return None
        (folder / ".complete").touch()
    return Python(label, python)


def pythons() -> list[Python]:
    """Return an environment for every Python, and one made from an environment."""
    made = [environment(label, base) for label, base in bases().items()]
    found = [python for python in made if python]
    nested = environment(f"{found[-1].label}, venv of a venv", found[-1].executable) if found else None
    return [*found, nested] if nested else found


def mpis() -> list[Mpi]:
    """Return every MPI that is there, by its version."""
    candidates = [ROOT / "build" / "mpi" / family / "bin" / "mpiexec" for family in ("openmpi", "mpich")]
    for name in ("mpiexec.openmpi", "mpiexec.mpich", "mpiexec"):
        found = shutil.which(name)
        candidates += [Path(found)] if found else []
    known: dict[Path, Mpi] = {}
    for mpiexec in candidates:
        said = answer([str(mpiexec), "--version"])
        version = re.search(r"\d+\.\d+[.\d]*", said)
        if version and mpiexec.resolve() not in known:
            family = "MPICH" if "HYDRA" in said else "Open MPI"
            origin = "system" if mpiexec.is_relative_to("/usr") else "wheel"
            known[mpiexec.resolve()] = Mpi(f"{family} {version[0]} ({origin})", mpiexec)
    return list(known.values())


def doors(python: Python) -> list[str]:
    """Return how this Python can be entered."""
    question = (
        "import os, sys, sysconfig as s; v = s.get_config_var;"
        "print(any(os.path.isfile(os.path.join(d, v('INSTSONAME') or '')) for d in (v('LIBDIR'),)))"
    )
    embeds = answer([str(python.executable), "-I", "-c", question]).strip() == "True"
    return ["embedded", "extension"] if embeds else ["extension"]


def run(mpi: Mpi, python: Python, door: str, tests: list[str]) -> str:
    """Run the tests on one combination and return how that went."""
    variables = {
        # The kernel knows the project's own by itself.
        **({} if python.executable == OWN else {"PARALLEL_PYTHON": str(python.executable)}),
        "PARALLEL_PYTHON_MPIEXEC": str(mpi.mpiexec),
        "PARALLEL_PYTHON_DOOR": "auto" if door == "embedded" else door,
    }
    name = re.sub(r"\W+", "-", f"{mpi.label} {python.label} {door}")
    log = BUILD / "logs" / f"{name}.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    command = [str(OWN), "-m", "pytest", "-q", "--no-header", "-k", CHOSEN, *tests]
    with log.open("w") as file:
        subprocess.run(
            command, cwd=ROOT, env=os.environ | variables, stdout=file, stderr=subprocess.STDOUT, check=False
        )
    closing = log.read_text().strip().splitlines()[-1:]
    counts = ", ".join(re.findall(r"\d+ (?:passed|failed|skipped|errors?)", "".join(closing)))
    return f"{counts or 'no result'}, {time.monotonic() - start:.0f} s"


def debian(arguments: list[str]) -> int:
    """Run on the distribution's MPIs as well, where that can be done without leaving anything."""
    if os.geteuid() != 0 or not shutil.which("apt-get") or not shutil.which("unshare"):
        print("the distribution's MPIs are left out: that needs root, apt-get and unshare", file=sys.stderr)
        return 0
    inside = [str(OWN), __file__, "--only", "system", *arguments]
    return subprocess.run([str(ROOT / "tools/overlay"), DEBIAN, *inside], check=False).returncode


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--full", action="store_true", help="all tests of engines, not the short set")
    parser.add_argument("--whole", action="store_true", help="every test, with the project's own Python")
    parser.add_argument("--python", default="", help="only Pythons whose name contains this")
    parser.add_argument("--mpi", default="", help="only MPIs whose name contains this")
    parser.add_argument(
        "--only", choices=["wheel", "system"], help="only MPIs of this origin, without an overlay"
    )
    parser.add_argument("--prepare", action="store_true", help="make the environments and run nothing")
    options, tests = parser.parse_known_args()
    own = [Python("the project's", OWN)]
    chosen = own if options.whole else [python for python in pythons() if options.python in python.label]
    if options.prepare:
        return 0
    tests = tests or (["tests"] if options.whole else FULL if options.full else QUICK)
    failures = 0
    if not options.only:
        print("| MPI | Python | door | result |\n| --- | --- | --- | --- |", flush=True)
    for mpi in mpis():
        if options.mpi not in mpi.label or (options.only and options.only not in mpi.label):
            continue
        for python in chosen:
            for door in doors(python)[: 1 if options.whole else None]:
                result = run(mpi, python, door, tests)
                failures += "failed" in result or "error" in result or "no result" in result
                print(f"| {mpi.label} | {python.label} | {door} | {result} |", flush=True)
    if not options.only:
        failures += debian(sys.argv[1:])
    return min(failures, 99)


if __name__ == "__main__":
    sys.exit(main())
