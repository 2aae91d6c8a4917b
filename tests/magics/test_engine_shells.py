"""What code finds on an engine.

Tests are named after their rows of ``ipyparallel-behaviour.md`` §1.
"""

from __future__ import annotations

from pathlib import Path

from notebook import Notebook, lines


def test_1_52_engines_are_full_shells(nb: Notebook) -> None:
    assert nb.ok("%px !echo hi").stdout == lines("hi")
    code = "%%px\n%matplotlib inline\n%timeit -q -n1 -r1 pass\nprint('magics')"
    assert sorted(nb.ok(code).stdout.splitlines()) == lines("magics").splitlines()
    nb.ok("%px 6*7")
    assert nb.ok("%px print(_, 42 in Out.values())").stdout == lines("42 True")


def test_1_53_names_of_the_mpi_launch(nb: Notebook) -> None:
    assert nb.ok("%px print(mpi_rank, mpi_size, MPI.COMM_WORLD.rank)").stdout == "".join(
        f"[stdout:{rank}] {rank} 4 {rank}\n" for rank in range(4)
    )


def test_1_37_engines_can_ask(nb: Notebook) -> None:
    """Where nobody may be asked they say so; how they ask is in `tests/test_engine_input.py`."""
    cell = nb.run("%%px -t 0\ninput('name? ')", allow_stdin=False)
    assert cell.reply["content"]["ename"] == "StdinNotImplementedError"


def test_1_55_engines_run_what_the_profile_has_for_them(tmp_path: Path) -> None:
    profile = tmp_path / "profile_default"
    (profile / "startup").mkdir(parents=True)
    (profile / "startup" / "10-first.py").write_text("began = ['file']\n")
    script = tmp_path / "script.py"
    script.write_text("began.append('script')\n")
    (profile / "ipengine_config.py").write_text(
        f"c.IPEngine.startup_script = {str(script)!r}\n"
        "c.IPEngine.startup_command = 'began.append(\"command\")'\n"
    )
    with Notebook(engines=2, environment={"IPYTHONDIR": str(tmp_path)}) as nb:
        cell = nb.ok("%px print(began, get_ipython().history_manager.hist_file)", timeout=120)
        assert cell.stdout == lines("['file', 'script', 'command'] :memory:", [0, 1])
        # The extensions that IPython has on by default.
        nb.ok("%%px -t 0\nkept = 7\n%store kept\n%store -d kept")
