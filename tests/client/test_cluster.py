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
        options = {'delay': 2.0, 'controller_ip': '*', 'controller_location': 'x', 'controller_args': ['a'],
                   'engine_timeout': 5, 'shutdown_atexit': False, 'load_profile': False, 'log_level': 10,
                   'send_engines_connection_env': False, 'cluster_file': 'f', 'profile_dir': '/p'}
        made = ipp.Cluster(cluster_id='mine', **options)
        assert {name: getattr(made, name) for name in options} == options and made.cluster_id == 'mine'
        assert ipp.Cluster().cluster_id.partition('-')[0].isdecimal()
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
        unsaid = ipp.Cluster().start_and_connect_sync(activate=True)
        assert unsaid.cluster.n is None and unsaid.wait_for_engines() is None
        magics = get_ipython().magics_manager.magics['line']['px'].__self__
        assert magics.view.block is True and magics.view.client is unsaid
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
        said = f"profile='default', controller=<running>, engine_sets=['{identifier}'])>"
        assert repr(cluster).endswith(said)
        assert cluster.engine_set.get_output() == '' == cluster.controller.get_output()
        raises(KeyError, "no engines 'other': there are", cluster.stop_engines_sync, 'other')
        assert cluster.engine_set.n == 3 and cluster.engine_set.state == 'running'
        raises(KeyError, 'no engines', cluster.signal_engines_sync, 2, 'other')
        for sig in (2, 'SIGINT', '2'):
            code = "import time; print('begun', flush=True)\\nwhile True: time.sleep(0.01)"
            begun = client[:].execute(code)
            while begun.stdout != ['begun\\n'] * 3: pass
            cluster.signal_engines_sync(sig, identifier)
            error = raises(ipp.CompositeError, 'KeyboardInterrupt', begun.get, 30)
            assert len(error.elist) == 3
        raises(KeyError, 'SIGNONE', cluster.signal_engines_sync, 'SIGNONE')
        cluster.signal_engine_sync(1, '2')
        other = ipp.Cluster(n=3)
        assert other.start_engines_sync(engine_set_id='named') == 'named' and list(other.engines) == ['named']
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
