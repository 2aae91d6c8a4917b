"""Clusters over HTTP: a real Jupyter server with its extension. Numbers are rows of the reference."""

from __future__ import annotations

import json
import runpy
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from headless import assert_nothing_runs, engines, environment_in
from notebook import KERNEL, ROOT, wait_until_gone
from parallel_python.client import registry
from server import Server

CLUSTERS = "ipyparallel/clusters"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server; at the end no set of engines may be left."""
    folder = tmp_path_factory.mktemp("clusters")
    environment = environment_in(folder, ("default", "mpi", "not:one"))
    with Server(folder, environment) as server:
        yield server
    assert_nothing_runs(environment)


def ok(server: Server, method: str, path: str = "", **options: Any) -> Any:
    """Ask for something that must succeed, and return the answer."""
    answer = server.ask(method, CLUSTERS + path, **options)
    assert answer.ok, answer.text
    return answer.json() if answer.content else answer.status_code


def refused(server: Server, method: str, path: str = "", **options: Any) -> tuple[int, str]:
    """Ask for something that must fail, and return the code and what is said."""
    answer = server.ask(method, CLUSTERS + path, **options)
    assert not answer.ok
    return answer.status_code, answer.json()["message"]


def test_5_21_the_default_cluster_of_each_profile_is_listed(server: Server) -> None:
    default, mpi = ok(server, "GET")
    assert (default["id"], mpi["id"]) == ("default:", "mpi:")
    assert default["cluster"] == {"profile": "default", "cluster_id": "", "n": None}
    assert default["controller"] is None and default["state"] == "stopped"
    assert default["engines"] == {"class": "mpi", "n": 0, "sets": {}} and default["cluster_file"] is None
    assert server.ask("GET", "parallel-python/clusters").json() == [default, mpi]
    for method, path in [("GET", ""), ("POST", ""), ("GET", "/mpi:"), ("POST", "/mpi:"), ("DELETE", "/mpi:")]:
        assert server.ask(method, CLUSTERS + path, token="wrong").status_code == 403


def test_5_22_a_cluster_is_made_and_not_started(server: Server) -> None:
    made = ok(server, "POST", json={"profile": "mpi", "cluster_id": "x", "n": 3})
    assert made["id"] == "mpi:x" and made["state"] == "stopped" and made["cluster"]["n"] == 3
    assert refused(server, "POST", json={"profile": "mpi", "cluster_id": "x"}) == (
        409,
        "Cluster mpi:x already exists",
    )
    # A folder of a profile means the profile; the first of a profile has no id, others have one of their own.
    assert ok(server, "POST", json={"profile": "/home/me/.ipython/profile_p", "n": ""})["id"] == "p:"
    second = ok(server, "POST", json={"profile": "p", "cluster_id": None})["cluster"]["cluster_id"]
    assert second and ok(server, "POST")["id"].startswith("default:1")
    for body in ({"n": "3"}, {"n": 0}, {"n": True}, {"n": 5000}, {"n": 1.5}):
        code, said = refused(server, "POST", json=body)
        assert code == 400 and "n must be an integer" in said
    for body in ({"profile": "a:b"}, {"cluster_id": "a/b"}, {"profile": 5}, {"cluster_id": "a\n"}, [1]):
        assert refused(server, "POST", json=body)[0] == 400, body
    assert refused(server, "POST", data="{")[0] == 400
    ids = [model["id"] for model in ok(server, "GET")]
    assert ids[0] == "default:" and {"mpi:", "mpi:x", "p:", f"p:{second}"} <= set(ids)
    for key in set(ids) - {"default:", "mpi:"}:
        assert ok(server, "DELETE", f"/{key}") == 204
    assert [model["id"] for model in ok(server, "GET")] == ["default:", "mpi:"]


def test_5_23_to_25_started_scaled_and_stopped(server: Server) -> None:
    assert refused(server, "POST", "/mpi:", json={"n": "two"}) == (
        400,
        "n must be an integer from 1 to 4096, not 'two'",
    )
    for method in ("GET", "POST", "DELETE"):
        assert refused(server, method, "/none:x") == (404, "No such cluster: none:x")
    ok(server, "POST", json={"profile": "mpi", "cluster_id": "x y", "n": 1})
    startup = Path(server.environment["IPYTHONDIR"]) / "profile_mpi" / "startup" / "00.py"
    startup.parent.mkdir()
    # The engines start no sooner than somebody has seen it.
    startup.write_text(f"import os, time\nwhile os.path.exists({str(startup)!r}): time.sleep(0.01)\n")
    with ThreadPoolExecutor() as pool:
        # The server answers others while engines start, and starts them once.
        started = pool.submit(ok, server, "POST", "/mpi:x%20y")
        states = set()
        while not started.done():
            states.add(ok(server, "GET", "/mpi:x%20y")["state"])
            if "starting" in states:
                startup.unlink(missing_ok=True)
    assert states <= {"stopped", "starting", "running"} and "starting" in states
    model = started.result()
    assert model["controller"]["state"]["state"] == "running" and model["engines"]["n"] == 1
    assert json.loads(Path(model["cluster_file"]).read_text())["profile"] == "mpi:x y"
    assert refused(server, "POST", "/mpi:x%20y")[0] == 409
    assert ok(server, "GET")[0]["id"] == "mpi:x y", "what runs is listed first"
    larger = ok(server, "PATCH", "/mpi:x%20y", json={"n": 2})
    assert larger["engines"]["n"] == 2 and larger["cluster_file"] == model["cluster_file"]
    assert refused(server, "PATCH", "/mpi:x%20y", json={})[0] == 400
    assert ok(server, "DELETE", "/mpi:x%20y") == 204
    assert refused(server, "GET", "/mpi:x%20y")[0] == 404
    assert ok(server, "PATCH", "/mpi:", json={"n": 3})["cluster"]["n"] == 3, "to be started with"
    assert ok(server, "DELETE", "/mpi:") == 204


def test_5_24_what_was_started_at_a_terminal_is_stopped_here(server: Server) -> None:
    engines(server.environment, "start", "-n", "1", "--daemonize")
    assert ok(server, "GET", "/default:")["state"] == "running"
    assert ok(server, "DELETE", "/default:") == 204
    assert ok(server, "GET", "/default:")["state"] == "stopped"


def test_a_notebooks_engines_are_shown_and_left_alone(server: Server) -> None:
    kernel = {"name": KERNEL}
    session = server.post("sessions", path="book.ipynb", type="notebook", name="", kernel=kernel)
    key = f"kernel-{session['kernel']['id']}:"
    with server.connect(session["kernel"]["id"]) as channels:
        assert channels.run("%px print('up')").stdout
        model = ok(server, "GET", f"/{key}")
        assert (model["kind"], model["notebook"], model["engines"]["n"]) == ("notebook", "book.ipynb", 2)
        assert channels.run("%engines restart -n 1\n%px print('up')").stdout.endswith("[stdout:0] up\n")
        assert ok(server, "GET", f"/{key}")["engines"]["n"] == 1
    for method in ("POST", "DELETE"):
        code, said = refused(server, method, f"/{key}")
        assert code == 409 and "it starts and stops them itself" in said
    server.delete(f"sessions/{session['id']}")


def connection_code(cluster_file: str) -> str:
    """Return the code that the panel puts into a notebook."""
    text = (ROOT / "labextension/static/connection.js").read_text("utf-8")
    lines = text[text.index("return [") : text.index("].join")].splitlines()[1:]
    code = "\n".join(line.strip(" ',`") for line in lines)
    return code.replace("${JSON.stringify(cluster.cluster_file)}", json.dumps(cluster_file)).strip()


@pytest.mark.parametrize("kernel", [KERNEL, "python3"])
def test_5_28_the_code_that_connects(server: Server, kernel: str) -> None:
    """In this project's kernel, which has engines of its own, and in another Python's."""
    file = ok(server, "POST", "/default:", json={"n": 2})["cluster_file"]
    with server.connect(server.start_kernel(kernel)) as channels:
        code = connection_code(file)
        assert channels.run(code).result.startswith("<Client"), code
        assert channels.run("rc.ids, cluster.profile, rc[:].apply_sync(lambda: mpi_size)").result == (
            "([0, 1], 'default', [2, 2])"
        )
        pids = "sorted(rc[:].apply_sync(__import__('os').getpid))"
        assert channels.run(f"cluster.connect_client_sync().ids == [0, 1], len({pids})").result == "(True, 2)"
        if kernel == KERNEL:
            own = "ipp.Client()[:].apply_sync(__import__('os').getpid)"
            assert channels.run(f"set({own}).isdisjoint({pids})").result == "True"
        assert channels.run("cluster.stop_cluster_sync()").error == ""
        assert channels.run(code).error == "FileNotFoundError"
        assert channels.run(f"ipp.Client({file!r})").error == "FileNotFoundError"
    assert ok(server, "GET", "/default:")["state"] == "stopped"


def test_5_23_what_does_not_start_says_why(tmp_path: Path) -> None:
    environment = {**environment_in(tmp_path, ("mpi",)), "PARALLEL_PYTHON_MPIEXEC": "/nowhere/mpi%exec"}
    with Server(tmp_path, environment) as server:
        code, said = refused(server, "POST", "/mpi:")
        assert code == 500 and "`/nowhere/mpi%exec`" in said and "pip install mpich" in said
        assert ok(server, "GET", "/mpi:")["state"] == "stopped"


def test_engines_outlive_the_server_and_the_next_one_finds_them(tmp_path: Path) -> None:
    """As ``ipcluster``'s do; nothing else of a server that is killed is left."""
    environment = environment_in(tmp_path, ("mpi",))
    server = Server(tmp_path, environment)
    server.__enter__()
    pid = ok(server, "POST", "/mpi:", json={"n": 1})["controller"]["state"]["pid"]
    # What has started them may still be about to end.
    assert not wait_until_gone(server.processes_below(), 10), "they are none of the server's processes"
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    with Server(tmp_path, environment) as other:
        model = ok(other, "GET", "/mpi:")
        assert model["state"] == "running" and model["controller"]["state"]["pid"] == pid
        assert ok(other, "DELETE", "/mpi:") == 204
    assert not wait_until_gone({pid}, 15)
    assert_nothing_runs(environment)


def test_names_are_those_of_the_client() -> None:
    name = runpy.run_path(str(ROOT / "python/server/parallel_python_server/names.py"))["Name"]
    for profile, cluster_id in [("mpi", ""), ("mpi", "x"), ("default", "1-2")]:
        word = registry.set_name(profile, cluster_id)
        assert word is not None and name(profile, cluster_id).word == word
        assert tuple(name.of(word)) == registry.split_name(word) == (profile, cluster_id)
        assert name.of(name(profile, cluster_id).key) == (profile, cluster_id)
