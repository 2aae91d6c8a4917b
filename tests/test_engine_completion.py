"""Completion and help where the code is the engines': `%%px` cells, `%px` lines, `%autopx`."""

from __future__ import annotations

import os
import select
from pathlib import Path
from typing import Any

import pytest

from notebook import Notebook, eventually


def reply_to(nb: Notebook, request: str) -> dict[str, Any]:
    while True:
        reply = nb.client.get_shell_msg(timeout=20)
        if reply["parent_header"]["msg_id"] == request:
            return reply["content"]


def complete(nb: Notebook, marked: str, *expected: str) -> tuple[list[str], str]:
    """Complete at the ``|``; return the matches and what they stand in place of.

    An engine that does not answer at once is not waited for: what is ``expected`` may take several requests.
    """
    return eventually(
        lambda: complete_once(nb, marked),
        lambda found: {match.rpartition(".")[2] for match in found[0]} >= set(expected),
    )


def complete_once(nb: Notebook, marked: str) -> tuple[list[str], str]:
    code, cursor = marked.replace("|", "", 1), marked.index("|")
    content = reply_to(nb, nb.client.complete(code, cursor))
    assert content["status"] == "ok"
    start, end = content["cursor_start"], content["cursor_end"]
    for one in content["metadata"].get("_jupyter_types_experimental", []):
        assert (one["start"], one["end"]) == (start, end), one
        assert one["text"] in content["matches"]
    return content["matches"], code[start:end]


def inspect(nb: Notebook, marked: str, *, known: bool = True) -> dict[str, Any]:
    """Ask for help at the ``|``, again and again where something is ``known``; return the last reply."""
    code, cursor = marked.replace("|", "", 1), marked.index("|")
    return eventually(
        lambda: reply_to(nb, nb.client.inspect(code, cursor)), lambda content: content["found"] or not known
    )


@pytest.fixture(scope="module", autouse=True)
def names(nb: Notebook) -> None:
    """Give engines and the notebook variables of their own."""
    nb.ok("%px everywhere_remote = 1")
    nb.ok("%%px -t 1\nclass Thing:\n    'what it is for'\n    engine_one_only = 1\nthing = Thing()")
    nb.ok("everywhere_local = 1")


@pytest.mark.parametrize(
    ("code", "typed", "found", "missing"),
    [
        ("%%px\nx = every|", "every", {"everywhere_remote", "everywhere_local"}, set()),
        ("%px x = every|", "every", {"everywhere_remote", "everywhere_local"}, set()),
        ("y = 1\nif y:\n    %px every|", "every", {"everywhere_remote"}, set()),
        ("é = 'ä'\n%px 'ö', every|", "every", {"everywhere_remote"}, set()),
        ("every|", "every", {"everywhere_local"}, {"everywhere_remote"}),
        ("%%time\nevery|", "every", {"everywhere_local"}, {"everywhere_remote"}),
        ("%%px -t 1\nthing.engine|", "engine", {"engine_one_only"}, set()),
        ("%%px -t 0\nthing.engine|", None, set(), {"engine_one_only"}),
    ],
)
def test_names_of_the_first_target_and_of_the_notebook(
    nb: Notebook, code: str, typed: str | None, found: set[str], missing: set[str]
) -> None:
    matches, replaced = complete(nb, code, *found)
    words = {match.rpartition(".")[2] for match in matches}
    assert found <= words and not missing & words
    assert typed is None or replaced.rpartition(".")[2] == typed
    assert len(matches) == len(set(matches))


def test_with_autopx_every_cell_is_code_of_engines(nb: Notebook) -> None:
    nb.ok("%autopx")
    assert "everywhere_remote" in complete(nb, "x = every|", "everywhere_remote")[0]
    nb.ok("%autopx")
    assert "everywhere_remote" not in complete(nb, "x = every|")[0]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("%%px --tar|", ["--targets"]),
        ("%%px --targets=a|\nx", ["all"]),
        ("%%px -t 3|", ["3"]),
        ("%pxconfig --progress|", ["--progress-after"]),
        ("%engines rest|", ["restart"]),
    ],
)
def test_options_and_targets_come_from_the_table(nb: Notebook, code: str, found: list[str]) -> None:
    assert complete(nb, code)[0] == found


def test_a_busy_engine_is_not_waited_for(nb: Notebook, tmp_path: Path) -> None:
    begun, gate = tmp_path / "begun", tmp_path / "gate"
    os.mkfifo(begun)
    os.mkfifo(gate)
    with begun.open("rb+", buffering=0) as signal, gate.open("rb+", buffering=0) as release:
        nb.ok(f"%%px --noblock -t 0\nopen({str(begun)!r}, 'w').write('x')\nopen({str(gate)!r}).read(1)")
        assert select.select([signal], [], [], 20)[0], "the engine has not begun"
        matches, _ = complete(nb, "%%px\nevery|")
        release.write(b"x")
    assert "everywhere_local" in matches and "everywhere_remote" not in matches
    nb.ok("%px pass")
    assert "everywhere_remote" in complete(nb, "%%px\nevery|", "everywhere_remote")[0]


def test_help_is_that_of_the_engine(nb: Notebook) -> None:
    content = inspect(nb, "%%px -t 1\nthi|ng")
    assert content["found"] and "what it is for" in content["data"]["text/plain"]
    assert not inspect(nb, "%%px -t 0\nthi|ng", known=False)["found"]
    assert inspect(nb, "%%px\nle|n")["found"]
    assert inspect(nb, "%px everywhere_lo|cal")["found"], (
        "what only the notebook knows is better than nothing"
    )


def test_completing_is_not_counted_and_prints_nothing(nb: Notebook) -> None:
    before = nb.ok("%%px -t 0\nprint(get_ipython().execution_count)").stdout
    complete(nb, "%%px\nevery|")
    after = nb.ok("%%px -t 0\nprint(get_ipython().execution_count)").stdout
    count = [int(text.split()[-1]) for text in (before, after)]
    assert count[1] == count[0] + 1


def test_a_dead_engine_is_not_asked(nb: Notebook) -> None:
    """Last in this file: the set is a new one afterwards."""
    nb.fails("%%px -t 0\nimport os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    assert "everywhere_local" in complete(nb, "%%px\nevery|")[0]
    assert "everywhere_remote" in complete(nb, "%%px -t 2\nevery|", "everywhere_remote")[0]
    nb.ok("%engines restart", timeout=120)
