"""Kernels that own no engines: with `--attach` they use a headless set's, or another kernel's."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headless import assert_nothing_is_left, engines, environment_with
from notebook import ANSI, Notebook, descendants, eventually, lines, wait_until_gone

Environment = dict[str, str]


@pytest.fixture
def alone(environment: Environment) -> Iterator[Environment]:
    """An environment of its own; what a test that failed left running in it is ended."""
    yield environment
    if engines(environment, "list") != "no engines\n":
        stop(environment)


def start(environment: Environment, count: int = 2) -> None:
    """Start the engines of profile `mpi`."""
    engines(environment, "start", "-n", str(count), "--profile", "mpi", "--daemonize")


def stop(environment: Environment) -> None:
    """End them."""
    engines(environment, "stop", "--profile", "mpi")


def said(notebook: Notebook, text: str) -> str:
    """Wait until a stream says something; what it said."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        message = notebook.client.get_iopub_msg(timeout=deadline - time.monotonic())
        if message["msg_type"] == "stream" and text in message["content"]["text"]:
            found: str = message["content"]["text"]
            return found
    raise TimeoutError(text)


def attached(environment: Environment, profile: str = "mpi", *more: str) -> Notebook:
    """A notebook on a kernel that is attached, not started yet."""
    return Notebook(1, [f"--attach={profile}", *more], environment)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """Two engines of profile `mpi` that no notebook owns; nothing is left of them afterwards."""
    environment = environment_with(tmp_path_factory.mktemp("shared") / "run")
    start(environment)
    yield environment
    stop(environment)
    assert_nothing_is_left(environment)


@pytest.fixture(scope="module")
def nb(shared: Environment) -> Iterator[Notebook]:
    """A notebook that is attached to them."""
    with attached(shared) as notebook:
        yield notebook


@pytest.fixture(scope="module")
def other(shared: Environment, nb: Notebook) -> Iterator[Notebook]:
    """A second one."""
    with attached(shared) as notebook:
        yield notebook


def test_a_cell_shows_what_it_would_show_with_engines_of_its_own(nb: Notebook) -> None:
    cell = nb.ok("%%px\nprint('I am', MPI.COMM_WORLD.size)\n6 * 7")
    assert cell.stdout == lines("I am 2", range(2))
    assert cell.results == ["Out[0:1]: 42", "Out[1:1]: 42"]
    assert nb.ok("%px x = 3").messages[1]["msg_type"] == "execute_input"
    assert nb.ok("for k in range(2):\n    %px print(x + 1)").stdout == lines("4", range(2)) * 2
    assert nb.ok("%autopx").stdout == "%autopx enabled\n"
    assert nb.ok("print(x)").stdout == lines("3", range(2))
    assert nb.ok("%autopx").stdout == "%autopx disabled\n"


def test_no_engines_of_its_own_and_no_entry(nb: Notebook, shared: Environment) -> None:
    nb.ok("%px 1")
    assert [line.split()[:2] for line in engines(shared, "list").splitlines()] == [["mpi", "headless"]]
    # The kernel and the notebook's Python.
    assert len(descendants(nb.pid)) == 1


def test_errors_are_merged(nb: Notebook) -> None:
    cell = nb.fails("%px 1/0")
    assert cell.error.count("Traceback") == 1, "once for all"
    assert "[engines 0, 1] ZeroDivisionError: division by zero" in cell.error, cell.error


def test_output_comes_while_the_cell_runs(nb: Notebook, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    seen = []

    def watch(message: dict) -> None:
        if message["msg_type"] == "stream" and "before" in message["content"]["text"] and not seen:
            seen.append(message)
            # Only what has been seen opens the gate, so the cell cannot end before.
            gate.write_text("go\ngo\n")

    code = f"%%px -t 0\nprint('before')\nopen({str(gate)!r}).readline()\nprint('after')"
    assert nb.run(code, watch=watch).stdout == lines("before", [0]) + lines("after", [0])
    assert seen


def test_two_notebooks_share_the_engines(nb: Notebook, other: Notebook) -> None:
    nb.ok("%px shared_variable = 'from the first'")
    assert other.ok("%px print(shared_variable)").stdout == lines("from the first", range(2))
    other.ok("import ipyparallel as ipp; ipp.Client()[:]['theirs'] = 5")
    assert nb.ok("%px print(theirs)").stdout == lines("5", range(2))


def test_the_table_shows_the_shared_engines_and_what_others_run(
    nb: Notebook, other: Notebook, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    request = other.send(f"%%px -t 1\nprint('waits')\nopen({str(gate)!r}).readline()")
    said(other, "waits")
    # Who is late with its answer is shown without it.
    table = eventually(nb.engines, lambda table: table[1]["runs"] and all(row["resident"] for row in table))
    gate.write_text("go\n")
    assert [(row["engine"], row["alive"], row["resident"] > 0) for row in table] == [
        (0, True, True),
        (1, True, True),
    ]
    assert [row["runs"] for row in table] == [None, "print('waits')"]
    while (idle := other.client.get_iopub_msg(timeout=30))["content"].get("execution_state") != "idle":
        pass
    assert idle["parent_header"]["msg_id"] == request
    [text] = [text for text in nb.ok("%engines").results if "engines of profile" in text]
    assert text.startswith("2 engines of profile `mpi`, Python 3."), text


def test_the_stop_button_stops_engines(nb: Notebook) -> None:
    cell = nb.interrupt_when("%%px\nprint('runs')\nimport time\ntime.sleep(60)", "runs")
    assert cell.status == "error"
    assert "KeyboardInterrupt" in cell.error
    assert nb.ok("%px 1").status == "ok"


def test_an_engine_that_does_not_stop_is_named_with_its_place(shared: Environment, nb: Notebook) -> None:
    # One call in C that looks for no signals while it runs.
    code = "import time; any(map((time.monotonic() + 4).__lt__, iter(time.monotonic, None)))"
    cell = nb.interrupt_when(f"%%px -t 0\nprint('runs', flush=True)\n{code}", "runs")
    assert cell.status == "error"
    assert "engine 0 has not stopped" in cell.error, cell.error
    assert f"line 2 of the cell: {code}" in cell.error, cell.error
    # It is not done with that when the next cell begins on the other.
    assert sorted(nb.ok("%px print(1)").stdout.splitlines()) == ["[stdout:0] 1", "[stdout:1] 1"]


def test_input_asks_the_person(nb: Notebook) -> None:
    cell, asked = nb.converse("%px print(input('name? '))", "a", "b")
    # Who comes late, because the machine is busy, is asked late.
    answers = {prompt: answer for (prompt, _), answer in zip(asked, "ab", strict=True)}
    first, second = answers.pop("[stdin:0] name? "), answers.pop("[stdin:1] name? ")
    assert cell.stdout == f"[stdout:0] {first}\n[stdout:1] {second}\n"
    nb.ok("import ipyparallel as ipp; rc = ipp.Client(); view = rc[:]")
    cell, asked = nb.converse("print(view.apply_sync(lambda: input('and? ')))", "c", "d")
    answers = {prompt: answer for (prompt, _), answer in zip(asked, "cd", strict=True)}
    first, second = answers.pop("[stdin:0] and? "), answers.pop("[stdin:1] and? ")
    assert cell.stdout == f"{[first, second]}\n"


def test_a_program_has_nobody_to_ask(nb: Notebook, shared: Environment) -> None:
    script = (
        "import parallel_python as ipp\n"
        "rc = ipp.Client(profile='mpi')\n"
        "try:\n    rc[0].apply_sync(input, '?')\n"
        "except ipp.error.RemoteError as error:\n    print(error.ename, error.evalue[:30])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=shared, capture_output=True, text=True, timeout=60
    )
    assert "this engine asks for input" in done.stdout, done.stdout + done.stderr


def test_completion_and_help_know_the_engines(nb: Notebook) -> None:
    nb.ok("%px only_on_engines = {'key': 1}")

    def completed() -> dict[str, Any]:
        return nb.client.complete("%px only_on_en", 14, reply=True, timeout=20)["content"]

    def inspected() -> dict[str, Any]:
        return nb.client.inspect("%px only_on_engines", 12, reply=True, timeout=20)["content"]

    # An engine that does not answer at once is not waited for.
    reply = eventually(completed, lambda reply: reply["matches"])
    assert reply["matches"][0] == "only_on_engines", reply
    reply = eventually(inspected, lambda reply: reply["found"])
    assert reply["found"] and "dict" in ANSI.sub("", reply["data"]["text/plain"])


def test_where_engines_are(nb: Notebook) -> None:
    nb.ok("%px own = MPI.COMM_WORLD.Dup()")
    assert nb.ok("%pxstack").results == ["engines 0, 1 idle"]
    cell = nb.run("%%px --timeout 3 -t 0\nfrom mpi4py import MPI\nown.Barrier()")
    assert "engine 0 in MPI_Barrier at line 2 of the cell" in cell.error, cell.error


def test_options_of_px(nb: Notebook) -> None:
    assert "wall time" in "".join(nb.ok("%%px --stats\nprint(1)").results)
    assert nb.ok("%%px --collapse\nMPI.COMM_WORLD.Barrier()\nprint(1)").stdout.count("1\n") == 1
    assert nb.ok("%%px --noblock\nprint('later')\n5").results == ["<AsyncResult(%px): pending>"]
    assert nb.ok("%pxresult").stdout == lines("later", range(2))
    nb.ok("%%px --out kept\n11")
    assert nb.ok("print(kept.get())").stdout.count("11") == 2


def test_data_goes_both_ways(nb: Notebook) -> None:
    nb.ok("import numpy as np\nimport ipyparallel as ipp\nrc = ipp.Client()\nview = rc[:]")
    nb.ok("big = np.arange(1_310_720.0)\nview.push({'big': big}, block=True)")
    cell = nb.ok("print(sum(map(float, view.pull('big', block=True)[1])) == big.sum())")
    assert cell.stdout == "True\n"
    assert nb.ok("%px big += 1; print(big[0])").stdout == lines("1.0", range(2))
    assert nb.ok("print([part[0] for part in view['big']], big[0])").stdout.endswith(" 0.0\n")
    cell = nb.ok("lview = rc.load_balanced_view()\nprint(lview.map_sync(lambda x: x * x, range(6)))")
    assert cell.stdout == "[0, 1, 4, 9, 16, 25]\n"
    cell = nb.fails("view.apply_sync(lambda: 1 / 0)")
    assert "ZeroDivisionError" in cell.error
    assert nb.ok("print(rc.ids, len(rc.queue_status()))").stdout.startswith("[0, 1] ")


def test_a_widget_lives_on_an_engine(nb: Notebook) -> None:
    opened = nb.run(
        "%%px -t 0\nfrom comm import create_comm\ncomm = create_comm('attached')\n"
        "comm.on_msg(lambda message: print('heard'))"
    )
    [content] = opened.of_type("comm_open")
    message = nb.client.session.msg("comm_msg", {"comm_id": content["comm_id"], "data": {}})
    nb.client.shell_channel.send(message)
    said(nb, "heard")


def test_threads_print_after_the_cell(nb: Notebook, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    nb.ok(
        "%%px -t 0\nimport threading\n"
        f"threading.Thread(target=lambda: print('late', open({str(gate)!r}).read())).start()"
    )
    gate.write_text("go")
    assert said(nb, "late") == "[stdout:0] late go\n"


def test_results_outlive_a_kernel(shared: Environment, nb: Notebook) -> None:
    with attached(shared) as notebook:
        notebook.ok("import ipyparallel as ipp\nrc = ipp.Client()")
        notebook.ok("%px 'from before'")
        names = notebook.ok("print([one for one in rc.hub_history() if one[:3] == 'px_'][-2:])").stdout
        notebook.manager.restart_kernel(env=notebook.environment)
        notebook.client.wait_for_ready(timeout=60)
        notebook.ok("import ipyparallel as ipp\nrc = ipp.Client()")
        cell = notebook.ok(f"print(rc.get_result({names.strip()}).get())")
        assert cell.stdout.count("from before") == 2, cell.stdout
    assert nb.ok("%px print(1)").stdout == lines("1", range(2)), "the engines live on"


def test_the_notebooks_python_may_die(nb: Notebook, shared: Environment) -> None:
    with attached(shared) as notebook:
        notebook.ok("import ipyparallel as ipp\nprint(ipp.Client().ids)")
        notebook.fails("import os; os.kill(os.getpid(), 9)")
        assert notebook.ok("import ipyparallel as ipp\nprint(ipp.Client().ids)").stdout == "[0, 1]\n"


def test_it_is_quiet_while_nothing_happens(nb: Notebook) -> None:
    pids = descendants(nb.pid) | {nb.pid}
    nb.ok("%px 1")

    def ticks() -> int:
        fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
        return sum(int(one[11]) + int(one[12]) for one in fields)

    before = ticks()
    with pytest.raises(queue.Empty):
        while True:
            nb.client.get_iopub_msg(timeout=3)
    assert ticks() - before <= 5


def test_another_kernels_engines(environment: Environment) -> None:
    with Notebook(2, environment=environment) as owner:
        owner.ok("%px mine = 1")
        profile = Path(owner.manager.connection_file).stem
        with attached(environment, profile) as guest:
            assert guest.ok("%px print(mine)").stdout == lines("1", range(2))
            cell, asked = guest.converse("%%px -t 1\nprint(input('who? '))", "guest")
            assert [prompt for prompt, _ in asked] == ["[stdin:1] who? "]
            assert cell.stdout == lines("guest", [1])
            nb_comm = guest.run("%%px -t 0\nfrom comm import create_comm\nc = create_comm('guest')")
            assert len(nb_comm.of_type("comm_open")) == 1, "shown where it was made"
            assert guest.ok("%engines").results[0].startswith("2 engines of profile")
            guest.ok("import ipyparallel as ipp\nprint(ipp.Client()[:].apply_sync(lambda: mine))")
        assert owner.ok("%px print(mine)").stdout == lines("1", range(2)), "they are the owner's"


def test_engines_that_are_not_there_yet_go_and_come_back(alone: Environment) -> None:
    with attached(alone) as notebook:
        assert notebook.ok("1 + 1").results == ["2"]
        cell = notebook.fails("%px 1")
        assert "no engines of profile `mpi` run for this user" in cell.error
        assert "`parallel-python engines start --profile mpi --daemonize`" in cell.error
        cell = notebook.fails("import ipyparallel as ipp\nipp.Client().wait_for_engines(1, timeout=20)")
        assert "no engines of profile `mpi`" in cell.error, cell.error
        start(alone)
        assert notebook.ok("%px print(1)").stdout == lines("1", range(2))
        assert notebook.ok("rc = ipp.Client()\nprint(rc.ids)").stdout == "[0, 1]\n"
        notebook.ok("%px import time")
        gone = []

        def watch(message: dict) -> None:
            if message["msg_type"] == "stream" and "runs" in message["content"]["text"] and not gone:
                gone.append(stop(alone))

        cell = notebook.run("%%px\nprint('runs')\ntime.sleep(60)", watch=watch)
        assert cell.status == "error"
        assert "the engines were stopped" in cell.error or "are gone" in cell.error, cell.error
        cell = notebook.fails("%px 1")
        assert "engines of profile `mpi`" in cell.error, cell.error
        start(alone, 1)
        assert notebook.ok("%px print(2)").stdout == lines("2", [0])
        assert notebook.ok("print(rc.ids)").stdout == "[0]\n", "the client is told too"
        stop(alone)


def test_deaths_are_named_and_engines_restarted_for_all(alone: Environment) -> None:
    start(alone)
    with attached(alone) as notebook, attached(alone) as second:
        second.ok("%px 1")
        cell = notebook.fails("%%px\nimport os\nif os.environ.get('x') is None and ipp_rank() == 1: pass")
        assert "NameError" in cell.error
        cell = notebook.fails("%%px -t 1\nimport os; os.kill(os.getpid(), 9)")
        assert "engine 1 on" in cell.error and "SIGKILL" in cell.error, cell.error
        cell = notebook.fails("%px 1")
        assert "`%engines restart` brings all engines back" in cell.error, cell.error
        assert notebook.ok("%%px -t 0\nprint(1)").stdout == lines("1", [0])
        assert [row["alive"] for row in second.engines()] == [True, False]
        notebook.ok("%engines restart")
        assert second.ok("%px print(2)").stdout == lines("2", range(2))
        assert len(notebook.ok("%engines restart -n 1").of_type("error")) == 0
        assert second.ok("%px print(3)").stdout == lines("3", [0])
        second.ok("%engines stop")
        assert notebook.ok("%px print(4)").stdout.endswith("4\n"), "who wants engines gets some"
    assert "headless" in engines(alone, "list"), "the set lives on"
    stop(alone)


def test_nothing_is_left_behind_by_a_killed_kernel(alone: Environment) -> None:
    start(alone)
    notebook = attached(alone)
    with notebook:
        notebook.ok("%px 1")
        request = notebook.send("%px input('?')", allow_stdin=True)
        assert notebook.client.get_stdin_msg(timeout=30)["parent_header"]["msg_id"] == request
        processes = descendants(notebook.pid) | {notebook.pid}
        os.kill(notebook.pid, signal.SIGKILL)
        assert not wait_until_gone(processes, 15), "processes are left"
    with attached(alone) as second:
        # No engine waits for a person who has gone.
        assert second.ok("%px print(1)").stdout == lines("1", range(2))
        assert re.search(r"2 engines of profile", "".join(second.ok("%engines").results))
    stop(alone)
