"""Clusters: the kernel's own engines, started, resized and stopped. Numbers are rows of the reference."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from notebook import Notebook
from notebooks import START, check


@pytest.fixture(scope="module")
def nb() -> Iterator[Notebook]:
    """A kernel with two engines."""
    with Notebook(engines=2) as notebook:
        check(notebook, START, timeout=120)
        yield notebook


def test_5_01_what_can_be_said(nb: Notebook) -> None:
    check(
        nb,
        """
        assert ipp.Cluster(n=2, engines='MPI', profile='mpi').n == 2
        raises(NotImplementedError, "no launcher 'slurm' here", ipp.Cluster, engines='slurm')
        raises(TypeError, 'engine_launcher_class', ipp.Cluster, engines='mpi', engine_launcher_class='mpi')
        raises(TypeError, "no option 'colour'", ipp.Cluster, colour='red')
        assert ipp.Cluster(engine_timeout=5).engine_timeout == 5
        """,
    )


def test_2_30_and_5_02_start_and_connect_uses_the_engines_that_are_there(nb: Notebook) -> None:
    cell = check(
        nb,
        """
        pids = rc[:].apply_sync(__import__('os').getpid)
        cluster = ipp.Cluster(n=2, engines='mpi')
        client = cluster.start_and_connect_sync()
        assert client.ids == [0, 1] and client.cluster is cluster
        assert client[:].apply_sync(__import__('os').getpid) == pids
        assert client.wait_for_engines() is None
        """,
    )
    assert cell.stdout == ""


def test_5_02_another_number_restarts_them(nb: Notebook) -> None:
    cell = check(
        nb,
        """
        cluster = ipp.Cluster(n=3, engines='mpi')
        client = cluster.start_and_connect_sync()
        assert client.ids == rc.ids == [0, 1, 2]
        assert client[:].apply_sync(lambda: mpi_size) == [3, 3, 3]
        """,
        timeout=120,
    )
    assert cell.stdout == "Starting 3 engines\n"


def test_5_03_to_15_members(nb: Notebook) -> None:
    check(
        nb,
        """
        assert repr(cluster).startswith("<Cluster(cluster_id='") and 'controller=<running>' in repr(cluster)
        identifier, = cluster.engines
        assert cluster.engine_set.n == 3 and cluster.engine_set.state == 'running'
        raises(KeyError, 'no engines', cluster.signal_engines_sync, 2, 'other')
        cluster.signal_engines_sync(2)
        raises(NotImplementedError, 'MPI world', cluster.start_engines_sync, 1)
        raises(NotImplementedError, 'alone', cluster.stop_engine_sync, 0)
        raises(RuntimeError, 'already running', cluster.start_controller_sync)
        told = cluster.to_dict()
        again = ipp.Cluster.from_dict(told)
        assert again.cluster_id == cluster.cluster_id and list(again.engines) == [identifier]
        assert ipp.Cluster.from_file(profile='mpi').connect_client_sync().ids == [0, 1, 2]
        raises(FileNotFoundError, 'nowhere', ipp.Cluster.from_file, '/nowhere/cluster.json')
        manager = ipp.ClusterManager()
        key, made = manager.new_cluster(profile='p', cluster_id='c')
        assert key == 'p:c' and manager.get_cluster(key) is made and list(manager.clusters) == ['p:c']
        raises(KeyError, 'already exists', manager.new_cluster, profile='p', cluster_id='c')
        manager.remove_cluster(key)
        raises(KeyError, 'not found', manager.get_cluster, key)
        """,
    )


def test_5_07_restart(nb: Notebook) -> None:
    check(
        nb,
        """
        view = client[:]
        view.push({'x': 1}, block=True)
        cluster.restart_engines_sync()
        assert client.ids == [0, 1, 2]
        raises(ipp.CompositeError, 'NameError', view.pull, 'x', block=True)
        """,
        timeout=120,
    )


def test_5_06_stop(nb: Notebook) -> None:
    check(
        nb,
        """
        import threading
        stopped, told = [], threading.Event()
        def note(why):
            # A callback may ask and wait for the answer.
            stopped.append((why, len(rc.hub_history())))
            told.set()
        cluster.engine_set.on_stop(note)
        cluster.stop_cluster_sync()
        cluster.stop_controller_sync()
        assert rc.ids == [] and told.wait(30) and cluster.engines == {}
        assert len(stopped) == 1 and stopped[0][0]['exit_code'] == 0 and stopped[0][1] > 0
        raises(ipp.NoEnginesRegistered, 'wait_for_engines', rc.direct_view().apply, int)
        """,
    )


def test_5_05_context_managers(nb: Notebook) -> None:
    check(
        nb,
        """
        with ipp.Cluster(n=2) as client:
            assert client.ids == [0, 1] and client[:].apply_sync(int) == [0, 0]
        assert rc.ids == []
        async with ipp.Cluster(n=2) as client:
            assert await client[:].apply_async(int, 3) == [3, 3]
        assert rc.ids == []
        async with ipp.Cluster(n=2) as client:
            cluster = ipp.Cluster(n=2)
            again = await cluster.start_and_connect(activate=False)
            assert again.ids == [0, 1]
        """,
        timeout=180,
    )


def test_2_16_shutdown(nb: Notebook) -> None:
    check(
        nb,
        """
        client = ipp.Client()
        assert client.ids
        raises(NotImplementedError, 'alone', client.shutdown, 0)
        client.shutdown(restart=True, block=True)
        assert client[:].apply_sync(int) == [0] * len(client)
        client.shutdown(hub=True)
        assert rc.ids == []
        raises(RuntimeError, 'closed', lambda: client.ids)
        """,
        timeout=120,
    )
