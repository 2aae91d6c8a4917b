"""A script's clusters, on engines inside the test's own process. Numbers are rows of the reference."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import parallel_python as ipp
from parallel_python.client import connecting, link
from parallel_python.cluster import home
from twin import Twin


class Process(Twin):
    """What ``engines start`` runs: it is asked to start and stop engines, and to signal them."""

    def __init__(self) -> None:
        super().__init__(0)
        self.asked: list[tuple[Any, ...]] = []

    def tell_phase(self, phase: str, reason: str = "") -> None:
        here = enumerate(self.pids) if phase == "up" else ()
        self.tell("engines", phase, reason, [(rank, "here", pid, True) for rank, pid in here])

    def open(self) -> None:
        self.asked.append(("open",))
        self.tell_phase("up" if self.pids else "off")

    def engines(self, ask: int, action: str, count: int | None) -> None:
        self.asked.append(("engines", action, count))
        self.pids = [] if action == "stop" else [20_000 + rank for rank in range(count or 2)]
        for phase in ("stopping", "off") if action == "stop" else ("launching", "up"):
            self.tell_phase(phase)
        self.tell("answer", ask, b"null")

    def signal(self, ask: int, targets: list[int], number: int) -> None:
        self.asked.append(("signal", targets, number))
        self.tell("answer", ask, b"null")


class Scripts:
    """A script's world: the processes that its clusters have started, of which the last one lives, if any."""

    def __init__(self) -> None:
        self.started: list[Process] = []
        self._living: link.Conversation | None = None

    def connect(self, *_: Any) -> link.Conversation:
        if self._living is None:
            raise OSError("no engines of this name run")
        return self._living

    def start(self, of: home.SetOfEngines, n: int | None) -> None:
        assert self._living is None, "engines of this name run already"
        process = Process()
        process.pids = [10_000 + rank for rank in range(n or 2)]
        self.started.append(process)
        self._living = link.Conversation(process)
        of._reached = True

    def end(self, of: home.SetOfEngines) -> None:
        if self._living is not None:
            self._living = None
            self.started[-1].end()

    def lives(self) -> bool:
        return self._living is not None


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripts]:
    """Have this process be a plain Python, whose clusters start processes that are threads."""
    made = Scripts()
    monkeypatch.setattr(home, "has_own_engines", lambda: False)
    monkeypatch.setattr("parallel_python.cluster.cluster.has_own_engines", lambda: False)
    monkeypatch.setattr(home, "connect", made.connect)
    monkeypatch.setattr("parallel_python.client.client.connect", made.connect)
    monkeypatch.setattr(home.SetOfEngines, "_start", lambda self, n: made.start(self, n))
    monkeypatch.setattr(home.SetOfEngines, "_end", lambda self: made.end(self))
    assert None not in connecting._conversations
    yield made
    made.end(home.SetOfEngines("", "", False))


def test_5_01_clusters_that_are_made_at_the_same_time_have_names_of_their_own() -> None:
    made = [ipp.Cluster().cluster_id for _ in range(200)]
    assert len(set(made)) == len(made)
    # What tells them apart comes from the system: where an object lies repeats from process to process.
    time, _, rest = made[0].partition("-")
    assert time.isdecimal() and len(bytes.fromhex(rest)) == 4


def test_5_06_engines_that_were_stopped_are_started_for_the_same_client(scripts: Scripts) -> None:
    cluster = ipp.Cluster(n=2)
    client = cluster.start_and_connect_sync()
    assert client.ids == [0, 1] and cluster.engine_set is not None and cluster.engine_set.n == 2
    cluster.stop_engines_sync()
    assert client.ids == [] and cluster.engines == {} and scripts.lives()
    cluster.start_engines_sync(n=3)
    client.wait_for_engines(3, timeout=30)
    assert client.ids == [0, 1, 2] and cluster.engine_set.n == 3
    assert len(scripts.started) == 1 and ("engines", "start", 3) in scripts.started[0].asked
    cluster.stop_cluster_sync()
    assert not scripts.lives()
    # What has ended is started anew.
    cluster.start_cluster_sync()
    assert len(scripts.started) == 2 and cluster.engine_set.n == 3


def test_5_06_the_process_ends_with_the_last_of_controller_and_engines(scripts: Scripts) -> None:
    cluster = ipp.Cluster(n=1)
    for first, last in (
        (cluster.stop_engines_sync, cluster.stop_controller_sync),
        (cluster.stop_controller_sync, cluster.stop_engines_sync),
        (cluster.stop_engines_sync, cluster.stop_cluster_sync),
    ):
        cluster.start_cluster_sync()
        first()
        assert scripts.lives()
        last()
        assert not scripts.lives()


def test_5_06_what_this_cluster_did_not_start_goes_on(scripts: Scripts) -> None:
    with ipp.Cluster(n=1, profile="same", cluster_id=""):
        other = ipp.Cluster(n=1, profile="same", cluster_id="")
        other.start_controller_sync()
        other.stop_cluster_sync()
        assert scripts.lives()
    assert not scripts.lives()


def test_5_06_stopping_what_has_ended_by_itself(scripts: Scripts) -> None:
    cluster = ipp.Cluster(n=1)
    cluster.start_cluster_sync()
    scripts.end(home.SetOfEngines("", "", False))
    cluster.stop_cluster_sync()
    assert cluster.engines == {}


@pytest.mark.parametrize(
    ("phases", "code"), [(("stopping", "off"), 0), (("stopping",), 0), (("failed",), 1), ((), 1)]
)
def test_on_stop_tells_an_end_from_a_failure(scripts: Scripts, phases: tuple[str, ...], code: int) -> None:
    """The connection ends in each case, which is a failure only where nobody has stopped the engines."""
    cluster = ipp.Cluster(n=1)
    cluster.start_cluster_sync()
    told: list[dict[str, Any]] = []
    stopped = threading.Event()
    chosen = cluster.engine_set
    assert chosen is not None and chosen.running
    chosen.on_stop(lambda why: (told.append(why), stopped.set()))
    for phase in phases:
        scripts.started[0].tell_phase(phase, "they went" if phase == "failed" else "")
    scripts.started[0].end()
    assert stopped.wait(30) and told == [{"exit_code": code, "identifier": chosen.identifier}]


def test_the_engines_are_known_without_a_client(scripts: Scripts) -> None:
    cluster = ipp.Cluster(n=2)
    cluster.start_cluster_sync()
    assert repr(cluster.engine_set) == "<EngineSet(n=2, state=running)>"
    again = ipp.Cluster.from_dict(cluster.to_dict())
    assert again.engine_set is not None and again.engine_set.running and again.engine_set.n == 2
    assert again.shutdown_atexit is False and cluster.shutdown_atexit is True
    assert ipp.Cluster.from_dict(cluster.to_dict(), shutdown_atexit=True).shutdown_atexit is True


def test_they_are_not_started_by_being_described(scripts: Scripts) -> None:
    """Whoever is told of engines has them started where they are off."""
    cluster = ipp.Cluster(n=2)
    cluster.start_cluster_sync()
    ipp.Cluster.from_dict(cluster.to_dict() | {"engines": {"sets": {"0": {}}}})
    assert scripts.started[0].asked.count(("open",)) == 1, "to_dict says how many there are"


@pytest.mark.parametrize("made", [lambda cluster: cluster, lambda cluster: ipp.Cluster.from_dict({})])
def test_signals_reach_engines_without_a_client(scripts: Scripts, made: Any) -> None:
    cluster = ipp.Cluster(n=2)
    cluster.start_cluster_sync()
    made(cluster).signal_engines_sync("SIGKILL")
    assert scripts.started[0].asked[-1] == ("signal", [0, 1], signal.SIGKILL)


def test_output_of_a_cluster_that_was_stopped(scripts: Scripts) -> None:
    cluster = ipp.Cluster(n=1)
    cluster.start_cluster_sync()
    chosen, ended = cluster.engine_set, threading.Event()
    assert chosen is not None
    chosen.on_stop(lambda why: ended.set())
    assert chosen.get_output() == ""
    scripts.started[0].end()
    assert ended.wait(30) and chosen.get_output() == "" and chosen.state == "after"
