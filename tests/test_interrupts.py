"""The stop button: whatever the engines wait in, the cell ends as interrupted and the next one runs.

Every test runs on both MPI families, where the build has put them.
"""

from __future__ import annotations

import ctypes.util
import os
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from notebook import Cell, Notebook, descendants, lines, mpiexec_of, wait_until_gone

WORLD = (
    "from mpi4py import MPI\nimport numpy as np\ncomm = MPI.COMM_WORLD\nrank, size = comm.rank, comm.size\n"
)


@pytest.fixture(scope="module", params=["mpich", "openmpi"])
def nb(request: pytest.FixtureRequest) -> Iterator[Notebook]:
    """A kernel with four engines on one MPI, each with mpi4py at hand."""
    with Notebook(engines=4, arguments=["--mpiexec", str(mpiexec_of(request.param))]) as notebook:
        notebook.ok(f"%%px\n{WORLD}", timeout=120)
        processes = descendants(notebook.pid) | {notebook.pid}
        yield notebook
    assert not wait_until_gone(processes, 10), "processes are left"


@pytest.fixture
def fresh(nb: Notebook) -> Iterator[Notebook]:
    """The same kernel; its engines are new for whoever comes next."""
    yield nb
    nb.ok("%engines restart", timeout=60)
    nb.ok(f"%%px\n{WORLD}", timeout=60)


def stopped(nb: Notebook, code: str) -> Cell:
    """Run code and interrupt it when every rank has begun."""
    return stopped_cell(nb, f"%%px\nprint('begun', flush=True)\n{code}")


def stopped_cell(nb: Notebook, cell: str) -> Cell:
    """Run a cell and interrupt it when every rank has said that it has begun."""
    begun = 0

    def watch(message: dict[str, Any]) -> None:
        nonlocal begun
        if message["msg_type"] == "stream":
            begun += message["content"]["text"].count("begun")
            if begun == 4:
                begun = 0
                nb.manager.interrupt_kernel()

    return nb.run(cell, 60, watch)


def interrupted(nb: Notebook, code: str, ranks: str = "engines 0-3") -> str:
    """Interrupt a cell once every rank that is named is in it; return what is shown."""
    cell = stopped(nb, code)
    assert cell.status == "error", cell.stdout
    assert cell.reply["content"]["ename"] == "KeyboardInterrupt", cell.error
    # On a busy machine a rank may be named that is on its way.
    assert cell.reply["content"]["evalue"] == ranks or "not stopped" in cell.error, cell.error
    # Where it takes long, output is shown as it comes.
    shown = nb.ok("%px print(1)", timeout=30).stdout
    assert sorted(shown.splitlines()) == lines("1").splitlines(), "the very next cell runs"
    return cell.error


PYTHON = {
    "sleep": "import time; time.sleep(600)",
    "busy loop": "while True: pass",
    "numpy loop": "a = np.ones((64, 64))\nwhile True: a @ a",
    "lock": "import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "subprocess": "import subprocess; subprocess.run(['sleep', '600'])",
    # Python drops what is raised in one; the interrupt comes again.
    "finalizer": "import time\nclass Slow: __del__ = lambda self: time.sleep(600)\nSlow(); time.sleep(600)",
}


@pytest.mark.parametrize("what", PYTHON)
def test_python_waits_and_loops(nb: Notebook, what: str) -> None:
    interrupted(nb, PYTHON[what])


MESSAGES = {
    "recv": "comm.recv(source=(rank + 1) % size)",
    "recv from anybody": "comm.recv()",
    "recv into a buffer": "comm.recv(bytearray(100), source=(rank + 1) % size)",
    "Recv": "comm.Recv(np.empty(3), source=(rank + 1) % size)",
    "probe": "comm.probe(source=(rank + 1) % size)",
    "mprobe": "comm.mprobe(source=(rank + 1) % size)",
    "Wait": "comm.Irecv(np.empty(3), source=(rank + 1) % size).Wait()",
    "wait": "comm.irecv(source=(rank + 1) % size).wait()",
    "Waitall": "MPI.Request.Waitall([comm.Irecv(np.empty(3), source=s) for s in range(size) if s != rank])",
    "Waitany": "MPI.Request.Waitany([comm.Irecv(np.empty(3), source=s) for s in range(size) if s != rank])",
    "Waitsome": "MPI.Request.Waitsome([comm.Irecv(np.empty(3), source=s) for s in range(size) if s != rank])",
    "Sendrecv": "comm.Sendrecv(np.ones(3), (rank + 1) % size, 1, np.empty(3), (rank - 1) % size, 2)",
    "sendrecv": "comm.sendrecv(3, (rank + 1) % size, 1, None, (rank - 1) % size, 2)",
    "ssend": "comm.ssend(3, (rank + 1) % size, 3)",
}


@pytest.mark.parametrize("what", MESSAGES)
def test_messages_that_do_not_come(nb: Notebook, what: str) -> None:
    assert f"\n    {MESSAGES[what]}\n" in interrupted(nb, MESSAGES[what]), "the line of the cell"
    # The communicator is as good as before.
    code = "print(comm.sendrecv(rank, (rank + 1) % size, 77, None, (rank - 1) % size, 77))"
    received = nb.ok(f"%%px\n{code}").stdout
    assert received == "".join(f"[stdout:{rank}] {(rank - 1) % 4}\n" for rank in range(4))


COLLECTIVES = {
    "Barrier": "Barrier()",
    "barrier": "barrier()",
    "Bcast": "Bcast(np.ones(3), root=3)",
    "bcast": "bcast(None, root=3)",
    "Reduce": "Reduce(np.ones(3), np.empty(3))",
    "reduce": "reduce(1)",
    "Allreduce": "Allreduce(np.ones(100_000), np.empty(100_000))",
    "allreduce": "allreduce(1)",
    "Gather": "Gather(np.ones(3), np.empty(12))",
    "gather": "gather(1)",
    "Scatter": "Scatter(np.ones(12), np.empty(3), root=3)",
    "Allgather": "Allgather(np.ones(3), np.empty(12))",
    "allgather": "allgather(1)",
    "Alltoall": "Alltoall(np.ones(12), np.empty(12))",
    "alltoall": "alltoall([0, 1, 2, 3])",
    "Scan": "Scan(np.ones(3), np.empty(3))",
    "Exscan": "Exscan(np.ones(3), np.empty(3))",
    "Reduce_scatter": "Reduce_scatter(np.ones(8), np.empty(2), [2, 2, 2, 2])",
    "Dup": "Dup()",
    "Split": "Split(rank % 2)",
    "Create_cart": "Create_cart([2, 2])",
}


@pytest.mark.parametrize("what", COLLECTIVES)
def test_collectives_that_not_all_reach(nb: Notebook, what: str) -> None:
    nb.ok("%px own = comm.Dup()" if what == "Barrier" else "%px own = again.Dup(); own.allreduce(1)", 30)
    if what == "Barrier":
        nb.ok("%px again = comm.Dup()")
    # One rank misses the call, and is not interrupted: it has long been done.
    shown = interrupted(nb, f"if rank != 3: own.{COLLECTIVES[what]}", "engines 0-2")
    assert f"own.{COLLECTIVES[what]}\n" in shown, "the line of the cell"
    # Its next collective raises on every rank, also on the one that was not interrupted, and at once.
    cell = nb.fails("%px own.allreduce(1)", timeout=10)
    for rank in range(4):
        assert f"[{rank}:execute]Exception: interrupted earlier" in cell.error, cell.error
    assert "%engines restart" in cell.error
    assert cell.seconds < 8
    # Others are not concerned.
    assert nb.ok("%px print(again.allreduce(1))").stdout == lines("4")


def test_the_world_is_whole_again_after_a_restart(fresh: Notebook) -> None:
    interrupted(fresh, "if rank != 3: comm.Barrier()", "engines 0-2")
    assert "interrupted earlier" in fresh.fails("%px comm.Barrier()").error
    fresh.ok("%engines restart", timeout=60)
    assert fresh.ok(f"%%px\n{WORLD}print(comm.allreduce(1))", timeout=60).stdout == lines("4")


def test_an_interrupt_can_be_caught(nb: Notebook) -> None:
    code = """%%px
try:
    print('begun', flush=True)
    comm.recv(tag=99)
except KeyboardInterrupt:
    print('caught', comm.allgather(rank))
"""
    cell = stopped_cell(nb, code)
    assert cell.stdout.count("caught [0, 1, 2, 3]") == 4, cell.error


def test_a_signal_handler_of_the_users_runs_in_a_wait(nb: Notebook) -> None:
    code = """%%px
import signal
def ring(*_): raise TimeoutError('no message came')
before = signal.signal(signal.SIGALRM, ring)
try:
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    comm.recv(tag=99)
except TimeoutError as error:
    print(error)
finally:
    signal.signal(signal.SIGALRM, before)
"""
    assert nb.ok(code, timeout=30).stdout == lines("no message came")


@pytest.fixture(params=["mpich", "openmpi"])
def checked(request: pytest.FixtureRequest) -> Iterator[Notebook]:
    """Four engines whose C library checks every block of memory, and overwrites what was freed."""
    checker = ctypes.util.find_library("c_malloc_debug") or "libc_malloc_debug.so.0"
    environment = {"GLIBC_TUNABLES": "glibc.malloc.check=3:glibc.malloc.perturb=165", "LD_PRELOAD": checker}
    if subprocess.run(["true"], env=os.environ | environment, capture_output=True, check=False).stderr:
        pytest.skip(f"this C library has no {checker}")
    arguments = ["--mpiexec", str(mpiexec_of(request.param))]
    with Notebook(engines=4, arguments=arguments, environment=environment) as notebook:
        notebook.ok(f"%%px\n{WORLD}", timeout=120)
        yield notebook


def test_nothing_is_written_into_memory_that_was_freed(checked: Notebook) -> None:
    """What a wait that was interrupted had been given is overwritten, then everything arrives after all."""
    nb = checked
    assert "libc_malloc_debug" in nb.ok("%%px -t 0\nprint(open('/proc/self/maps').read())").stdout
    nb.ok("%px own = comm.Dup(); quiet = comm.Dup(); spare = comm.Dup()")
    nb.ok("%%px\nblocks = {name: np.zeros(50_000) for name in ('sum', 'Recv', 'Irecv')}")
    interrupted(nb, "if rank != 3: own.Allreduce(np.ones(50_000), blocks['sum'])", "engines 0-2")
    interrupted(nb, "quiet.Recv(blocks['Recv'], (rank + 1) % size, 5)")
    # A request that nobody holds after the interrupt.
    interrupted(nb, "spare.Irecv(np.zeros(50_000), (rank + 1) % size, 6).Wait()")
    # Given back to the C library, which fills it with its own pattern and finds what is written later.
    nb.ok("%%px\nfreed = np.zeros(50_000)")
    interrupted(nb, "if rank != 3: spare.Allreduce(np.ones(50_000), freed)", "engines 0-2")
    nb.ok("%%px\ndel freed\nfor block in blocks.values(): block[:] = 7\nimport gc; gc.collect()")
    nb.ok("%px canaries = [np.full(50_000, 7.0) for _ in range(200)]")
    assert "interrupted earlier" in nb.fails("%px own.Allreduce(np.ones(50_000), np.empty(50_000))").error
    late = """%%px
before, after = (rank - 1) % size, (rank + 1) % size
requests = [quiet.Isend(np.ones(50_000), before, 5), spare.Isend(np.ones(50_000), before, 6)]
got = np.empty(50_000)
quiet.Recv(got, after, 5)
spare.Recv(got, after, 6)
MPI.Request.Waitall(requests)
print(int(got.sum()), all((block == 7).all() for block in [*blocks.values(), *canaries]))
"""
    assert nb.ok(late, timeout=30).stdout == lines("50000 True")


def test_a_rank_in_a_long_call_is_named_and_comes_back(fresh: Notebook) -> None:
    # Nothing in this looks at signals.
    call = "any(map((time.monotonic() + 4).__lt__, iter(time.monotonic, None)))"
    cell = stopped(fresh, f"import time\nif rank == 2: {call}\nelse: time.sleep(600)")
    assert cell.reply["content"]["ename"] == "KeyboardInterrupt", cell.error
    # On a busy machine a rank may be named that is on its way.
    named = r"engine 2 has not stopped|engines [0-3, -]+ have not stopped"
    assert re.search(named, cell.error) and "%engines restart" in cell.error, cell.error
    assert "  engine 2 at line 3 of the cell: if rank == 2: any(" in cell.error, cell.error
    assert re.search(r"\[engines [013, ]+\] KeyboardInterrupt", cell.error), cell.error
    # Its output comes when the call has returned; the others' was shown long before.
    assert sorted(fresh.ok("%px print(1)", timeout=60).stdout.splitlines()) == lines("1").splitlines()


def test_mpi_is_not_ended_by_a_cell(nb: Notebook) -> None:
    assert "%engines stop" in nb.fails("%px MPI.Finalize()").error
    assert "%engines restart" in nb.fails("%px comm.Abort(3)").error
    assert nb.ok("%px print(comm.allreduce(1))").stdout == lines("4")


def test_waiting_in_mpi_takes_next_to_no_cpu(nb: Notebook) -> None:
    """Ranks that wait for one that is late leave it the machine."""
    code = """%%px
import os, time
before = time.process_time()
if rank == 0: time.sleep(3)
comm.Barrier()
used = time.process_time() - before
print('idle' if used < 0.3 else used)
"""
    assert nb.ok(code, timeout=30).stdout == lines("idle")


def test_what_runs_in_the_background_is_interrupted_by_name(nb: Notebook) -> None:
    request = nb.send("%%px --noblock\nimport time\ntime.sleep(600)")
    nb.collect(request)
    nb.ok("%engines interrupt -t 1,2")
    nb.ok("%engines interrupt")
    assert sorted(nb.ok("%px print(1)", timeout=30).stdout.splitlines()) == lines("1").splitlines()
