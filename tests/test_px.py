"""`%px`, `%%px`, `%autopx`: what is typed, where it runs, and in what order its output stands."""

from __future__ import annotations

import pytest

from notebook import Notebook, lines


def test_px_shows_every_engine_in_order(nb: Notebook) -> None:
    assert nb.ok("%px print('hi')").stdout == lines("hi")


def test_a_whole_cell_runs_on_every_engine(nb: Notebook) -> None:
    cell = nb.ok("%%px\nimport math\nF=2.0*math.sin(0.25*math.pi)\nprint(F)")
    assert cell.stdout == lines("1.414213562373095")


def test_engines_keep_their_variables_apart_from_the_notebook(nb: Notebook) -> None:
    nb.ok("%px x = 7")
    assert nb.ok("%px print(x)").stdout == lines("7")
    assert nb.fails("x").reply["content"]["ename"] == "NameError"


def test_several_px_lines_are_steps_of_one_cell(nb: Notebook) -> None:
    cell = nb.ok("# both\n%px a = 1\n\n%px print(a + 1)")
    assert cell.stdout == lines("2")


def test_px_inside_other_code_goes_through_the_local_shell(nb: Notebook) -> None:
    cell = nb.ok("for i in range(2):\n    print('local', i)\n    %px print('engines')\nprint('after')")
    assert cell.stdout == "local 0\n" + lines("engines") + "local 1\n" + lines("engines") + "after\n"


def test_px_expands_no_variables(nb: Notebook) -> None:
    nb.ok("name = 'local'")
    assert nb.ok("if True:\n    %px print('{name}', '$name')").stdout == lines("{name} $name")


def test_an_error_of_a_nested_px_stops_the_code_that_called_it(nb: Notebook) -> None:
    cell = nb.fails("print('before')\n%px 1/0\nprint('not reached')")
    assert cell.stdout == "before\n"
    assert cell.error.count("ZeroDivisionError: division by zero") >= 1
    assert "engines 0-3" in cell.error


@pytest.mark.parametrize(
    ("targets", "ranks"),
    [
        ("1", [1]),
        ("-1", [3]),
        ("0,2", [0, 2]),
        ("[0, 2]", [0, 2]),
        ("::2", [0, 2]),
        ("1:", [1, 2, 3]),
        ("all", range(4)),
    ],
)
def test_targets(nb: Notebook, targets: str, ranks: list[int]) -> None:
    assert nb.ok(f"%%px --targets {targets}\nprint('here')").stdout == lines("here", ranks)


def test_an_engine_that_is_not_there_is_named(nb: Notebook) -> None:
    cell = nb.fails("%%px -t 7\n1")
    assert cell.reply["content"]["ename"] == "UsageError"
    assert "no engine 7" in cell.error and "0..3" in cell.error


def test_an_unknown_option_names_the_known_ones(nb: Notebook) -> None:
    cell = nb.fails("%%px --tragets 1\n1")
    assert cell.reply["content"]["ename"] == "UsageError"
    assert "--tragets" in cell.error and "--targets" in cell.error


def test_a_cell_that_does_not_wait_ends_before_its_output(nb: Notebook) -> None:
    nb.ok(
        "import os, tempfile; gate = os.path.join(tempfile.mkdtemp(), 'gate'); os.mkfifo(gate); print(gate)"
    )
    gate = nb.ok("print(gate)").stdout.strip()
    cell = nb.ok(f"%%px --noblock -t 0\nopen({gate!r}).read(); print('late')")
    assert cell.stdout == ""
    nb.ok("open(gate, 'w').close()")
    assert nb.ok("%px 1").status == "ok"
    assert nb.ok("print('the kernel goes on')").stdout == "the kernel goes on\n"


def test_autopx_sends_cells_to_the_engines_until_it_is_off(nb: Notebook) -> None:
    assert nb.ok("%autopx").stdout == "%autopx enabled\n"
    assert nb.ok("where = 'engine'\nprint(where)").stdout == lines("engine")
    cell = nb.fails("1/0")
    assert "ZeroDivisionError" in cell.error
    assert "engine" in nb.ok("%engines").results[0]
    assert nb.ok("%autopx").stdout == "%autopx disabled\n"
    assert nb.ok("print('local')").stdout == "local\n"


def test_autopx_off_in_the_middle_of_a_cell(nb: Notebook) -> None:
    nb.ok("%autopx")
    cell = nb.ok("print('engines')\n%autopx\nprint('local')")
    assert cell.stdout == lines("engines") + "%autopx disabled\nlocal\n"


def test_counts_and_history_are_continuous(nb: Notebook) -> None:
    first = nb.ok("%px 1").count
    assert nb.ok("'local'").count == first + 1
    assert nb.ok("%%px\n2").count == first + 2
    history = "get_ipython().history_manager.input_hist_raw"
    assert nb.ok(f"print({history}[-4:-1])").stdout == "['%px 1', \"'local'\", '%%px\\n2']\n"


def test_results_name_their_engine(nb: Notebook) -> None:
    results = nb.ok("%px 6*7").results
    assert [result.split(":")[0] for result in results] == [f"Out[{rank}" for rank in range(4)]
    assert all(result.endswith("]: 42") for result in results)


def test_the_same_error_of_all_engines_is_shown_once(nb: Notebook) -> None:
    cell = nb.fails("%%px\ndef f():\n    1/0\nf()")
    assert "[engines 0-3] ZeroDivisionError" in cell.error
    assert cell.error.count("in f()") == 1


def test_a_syntax_error_is_the_engines_own(nb: Notebook) -> None:
    cell = nb.fails("%%px\nif True\n  1")
    assert "SyntaxError" in cell.error and "engines 0-3" in cell.error


def test_magics_are_where_python_looks_for_them(nb: Notebook) -> None:
    nb.ok("magics = get_ipython().magics_manager.magics")
    assert nb.ok(
        "print('px' in magics['line'], 'px' in magics['cell'], 'autopx' in magics['line'])"
    ).stdout == ("True True True\n")


def test_engines_start_stop_and_change_their_number() -> None:
    with Notebook(engines=2) as nb:
        assert nb.ok("%px print('hi')", timeout=120).stdout == lines("hi", range(2))
        before = {engine["pid"] for engine in nb.engines()}
        nb.ok("%engines restart -n 3", timeout=120)
        assert nb.ok("%px print('hi')").stdout == lines("hi", range(3))
        assert not before & {engine["pid"] for engine in nb.engines()}
        nb.ok("%engines stop", timeout=60)
        assert nb.engines() == []
        assert nb.ok("%px print('hi')", timeout=120).stdout == lines("hi", range(3)), "as many as before"
        nb.ok("%engines stop", timeout=60)
        nb.ok("%engines start -n 2", timeout=120)
        assert nb.ok("%px print('hi')").stdout == lines("hi", range(2))


def test_lazy_engines_start_at_the_first_parallel_cell() -> None:
    with Notebook(engines=2, arguments=["--engines", "lazy"]) as nb:
        assert nb.engines() == []
        assert nb.ok("%px print('hi')", timeout=120).stdout == lines("hi", range(2))
