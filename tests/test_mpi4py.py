"""mpi4py inside the cells: the engines are the world, and tasks travel over MPI beside it."""

from __future__ import annotations

from notebook import Notebook, eventually, lines

WORLD = "from mpi4py import MPI\ncomm = MPI.COMM_WORLD\nrank, size = comm.rank, comm.size\n"


def each(text: str) -> str:
    """Return what engines 0 to 3 print when each prints its own line."""
    return "".join(f"[stdout:{rank}] {text.format(rank=rank)}\n" for rank in range(4))


def test_the_world_is_the_engines(nb: Notebook) -> None:
    assert nb.ok(f"%%px\n{WORLD}print(rank, size)", timeout=60).stdout == each("{rank} 4")
    assert len(nb.engines()) == 4


def test_collectives(nb: Notebook) -> None:
    nb.ok(f"%%px\n{WORLD}")
    assert nb.ok("%px print(comm.allreduce(rank))").stdout == lines("6")
    assert nb.ok("%px print(comm.bcast({'seed': 42} if rank == 0 else None))").stdout == lines("{'seed': 42}")
    code = "%%px\npart = comm.scatter([i * i for i in range(size)] if rank == 0 else None)\nprint(part)"
    assert nb.ok(code).stdout == "".join(f"[stdout:{rank}] {rank * rank}\n" for rank in range(4))
    code = "%%px\nall_parts = comm.gather(part)\nif rank == 0: print(all_parts)"
    assert nb.ok(code).stdout == "[stdout:0] [0, 1, 4, 9]\n"


def test_buffers_of_numpy(nb: Notebook) -> None:
    code = "total = np.empty(3)\ncomm.Allreduce(np.full(3, rank, dtype=float), total)\nprint(total)"
    assert nb.ok(f"%%px\n{WORLD}import numpy as np\n{code}").stdout == lines("[6. 6. 6.]")


def test_a_large_message_arrives_while_the_others_idle(nb: Notebook) -> None:
    code = f"""%%px
{WORLD}
import numpy as np
data = np.ones(6_000_000)
if rank == 0:
    request = comm.Isend(data, dest=3)
elif rank == 3:
    comm.Recv(data, source=0)
    print(int(data.sum()))
"""
    assert nb.ok(code, timeout=60).stdout == "[stdout:3] 6000000\n"
    nb.ok("%%px -t 0\nrequest.Wait()")


def test_tasks_travel_over_mpi(nb: Notebook) -> None:
    # Who is late with its answer is shown as it was.
    before = eventually(nb.engines, lambda rows: all(row["mpi_sent"] is not None for row in rows))
    for _ in range(10):
        nb.ok("%px pass")

    def carried() -> list[tuple[int, int]]:
        """What each engine has received and sent since."""
        return [
            (late["mpi_received"] - early["mpi_received"], late["mpi_sent"] - early["mpi_sent"])
            for early, late in zip(before, nb.engines(), strict=True)
        ]

    def is_enough(counts: list[tuple[int, int]]) -> bool:
        """Each task came over MPI, each report went over MPI, and rank 0 sent each task to three others."""
        return counts[0][1] >= 30 and all(min(count) >= 10 for count in counts[1:])

    counts = eventually(carried, is_enough)
    assert is_enough(counts), counts


def test_the_engines_mpi_is_the_one_mpi4py_uses(nb: Notebook) -> None:
    code = """%%px
from mpi4py import MPI
maps = open("/proc/self/maps").read().split()
libraries = {path for path in maps if "/libmpi.so" in path or "/libmpich.so" in path}
print(len(libraries), MPI.Query_thread() == MPI.THREAD_MULTIPLE)
"""
    assert nb.ok(code).stdout == lines("1 True")


def test_a_rank_that_waits_serves_the_windows_of_others(nb: Notebook) -> None:
    code = f"""%%px
{WORLD}
import numpy as np
shared, one, old = np.zeros(1), np.ones(1), np.empty(1)
window = MPI.Win.Create(shared, comm=comm)
for _ in range(50 if rank else 0):
    window.Lock(0)
    window.Fetch_and_op(one, old, 0)
    window.Unlock(0)
comm.Barrier()
if rank == 0:
    print(int(shared[0]))
window.Free()
"""
    assert nb.ok(code, timeout=60).stdout == "[stdout:0] 150\n"
