"""joblib on engines, also where nobody has started any. Rows 3.41 and 3.50 of the reference."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from notebook import wait_until_gone
from parallel_python.client.client import Client
from twin import Twin


def test_3_50_a_script_without_engines_gets_some(tmp_path: Path) -> None:
    pytest.importorskip("joblib")
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("what one engine would do joblib does itself")
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    code = """
import os, joblib, ipyparallel as ipp
ipp.register_joblib_backend()
with joblib.parallel_backend('ipyparallel'):
    squares = joblib.Parallel()(joblib.delayed(lambda x: x * x)(n) for n in range(10))
    pids = joblib.Parallel()(joblib.delayed(os.getpid)() for _ in range(10))
assert squares == [n * n for n in range(10)] and os.getpid() not in pids
[pid] = joblib.Parallel(backend='ipyparallel')(joblib.delayed(os.getpid)() for _ in range(1))
assert pid != os.getpid()
from parallel_python.client import registry
print([entry.pid for entry in registry.entries()])
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "XDG_RUNTIME_DIR": str(runtime), "PARALLEL_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    started = json.loads(done.stdout.splitlines()[-1])
    assert len(started) == 1 and not wait_until_gone(set(started), 20), "they end with the script"
    left = [path for path in runtime.rglob("*") if path.name != "parallel-python"]
    assert not left, "files are left"


@pytest.mark.parametrize(("n_jobs", "engines"), [(2, 2), (3, 3), (-2, 3), (-1, 4), (None, 4), (9, 4)])
def test_3_41_so_many_engines_work_as_n_jobs_says(
    rc: Client, twin: Twin, n_jobs: int | None, engines: int
) -> None:
    joblib = pytest.importorskip("joblib")
    twin.hold(0, 1, 2, 3)
    view = rc.load_balanced_view()
    view.register_joblib_backend("twin")
    submit, ready = twin.submit, 2 * engines

    def count(submissions: list[object], yields: bool = False) -> None:
        submit(submissions, yields)
        if len(view.history) + 1 >= ready:
            twin.release()

    twin.submit = count  # type: ignore[method-assign]
    with joblib.parallel_backend("twin", n_jobs=n_jobs):
        used = joblib.Parallel(batch_size=1)(joblib.delayed(threading.get_ident)() for _ in range(16))
    assert len(used) == 16 and len(set(used)) == engines
    assert len(view.history) == 16 and view.targets is None
