//! The comm thread on the in-process twin: whole runs from the kernel's end of the gateway socket to
//! every rank's inbox and back. Every wait has a deadline.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use fabric::comm::{Comm, Ended, Outbox};
use fabric::doorbell::Doorbell;
use fabric::frame::{self, Frames};
use fabric::message::Rank;
use fabric::message::report::{Event, Outcome, Report, StreamName};
use fabric::message::task::{FromGateway, Packet, Task, TaskId, ToGateway, Work};
use fabric::transport::{Fabric, FabricError};
use fabric::twin::Twin;
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(20);

/// One rank with its comm thread.
struct Engine {
    comm: Comm,
    outbox: Outbox,
    inbox: Receiver<Task>,
    looks: Arc<AtomicU64>,
}

/// A kernel and its engines in one process.
struct World {
    kernel: UnixStream,
    frames: Frames,
    engines: Vec<Engine>,
    _folder: TempDir,
}

/// A carrier whose looks for packets are counted, and which shows each packet only at the `late`-th
/// look after it has come.
struct Watched {
    twin: Twin,
    looks: Arc<AtomicU64>,
    late: u32,
    held: Option<(u32, (Rank, Vec<u8>))>,
}

impl Fabric for Watched {
    fn rank(&self) -> Rank {
        self.twin.rank()
    }
    fn size(&self) -> u32 {
        self.twin.size()
    }
    fn library(&self) -> &str {
        self.twin.library()
    }
    fn barrier(&mut self) -> Result<(), FabricError> {
        self.twin.barrier()
    }
    fn send(&mut self, to: Rank, bytes: &[u8]) -> Result<(), FabricError> {
        self.twin.send(to, bytes)
    }
    fn receive(&mut self) -> Result<Option<(Rank, Vec<u8>)>, FabricError> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        if self.held.is_none() {
            self.held = self.twin.receive()?.map(|packet| (self.late, packet));
        }
        match self.held.take() {
            Some((left, packet)) if left > 0 => {
                self.held = Some((left - 1, packet));
                Ok(None)
            }
            held => Ok(held.map(|(_, packet)| packet)),
        }
    }
    fn progress(&mut self) -> Result<usize, FabricError> {
        self.twin.progress()
    }
    fn lose(&mut self, rank: Rank) {
        self.twin.lose(rank);
    }
    fn finalize(self: Box<Self>) -> Result<(), FabricError> {
        Box::new(self.twin).finalize()
    }
}

impl World {
    fn new(size: u32) -> World {
        World::with(size, 0)
    }

    fn with(size: u32, late: u32) -> World {
        let folder = tempfile::tempdir().unwrap();
        let (kernel, gateway) = UnixStream::pair().unwrap();
        kernel.set_read_timeout(Some(DEADLINE)).unwrap();
        let bells: Vec<_> = (0..size).map(|rank| Doorbell::create(folder.path(), rank).unwrap()).collect();
        let mut gateway = Some(gateway);
        let start = |(twin, bell)| Engine::start(twin, bell, gateway.take(), late);
        let engines = Twin::world(size).into_iter().zip(bells).map(start).collect();
        World { kernel, frames: Frames::default(), engines, _folder: folder }
    }

    fn fan_out(&mut self, id: TaskId, targets: &[Rank]) {
        let task = Task { id, targets: u32::try_from(targets.len()).unwrap(), work: pass() };
        let task = frame::pack(&task).unwrap().into();
        self.order(&ToGateway::FanOut { id, targets: targets.to_vec(), task });
    }

    fn order(&mut self, order: &ToGateway) {
        frame::write(&mut self.kernel, order).unwrap();
    }

    fn next(&mut self) -> (Rank, Report) {
        let FromGateway::Reports { rank, reports } = self.frames.read(&mut self.kernel).unwrap().unwrap();
        let [report] = <[Report; 1]>::try_from(reports.into_owned()).unwrap();
        (rank, report)
    }
}

impl Engine {
    fn start(twin: Twin, bell: Doorbell, gateway: Option<UnixStream>, late: u32) -> Engine {
        let looks = Arc::new(AtomicU64::new(0));
        let watched = Watched { twin, looks: Arc::clone(&looks), late, held: None };
        let (tasks, inbox) = channel();
        let (comm, outbox) = Comm::start(Box::new(watched), bell, gateway, tasks, false).unwrap();
        Engine { comm, outbox, inbox, looks }
    }

    fn take(&self) -> Task {
        self.inbox.recv_timeout(DEADLINE).unwrap()
    }

    fn done(&self, task: TaskId) {
        self.outbox.report(&done(task)).unwrap();
    }

    /// Waits until this many packets have been received.
    fn received(&self, count: u64) {
        until(|| self.outbox.counters().1 == count);
    }

    /// Whether the comm thread looks for packets though none is announced.
    fn polls(&self) -> bool {
        let before = self.looks.load(Ordering::Relaxed);
        thread::sleep(Duration::from_millis(60));
        self.looks.load(Ordering::Relaxed) > before + 1
    }
}

fn pass() -> Work {
    Work::Execute { code: "pass".into(), store_history: false, measure: false }
}

fn done(task: TaskId) -> Report {
    Report { task, event: Event::Done { outcome: Outcome::Ok, count: 1, started: 0.0, completed: 1.0 } }
}

fn line(task: TaskId, text: &str) -> Report {
    Report { task, event: Event::Stream { name: StreamName::Stdout, text: text.into() } }
}

fn until(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_task_reaches_its_targets_and_nobody_else() {
    let mut world = World::new(4);
    let subsets: [&[Rank]; 5] = [&[0, 1, 2, 3], &[2], &[0], &[1, 3], &[0, 2, 3]];
    for (id, targets) in (1..).zip(subsets) {
        world.fan_out(id, targets);
        for rank in targets {
            let engine = &world.engines[*rank as usize];
            assert_eq!(engine.take(), Task { id, targets: targets.len() as u32, work: pass() });
            engine.done(id);
        }
        let mut from: Vec<_> = targets.iter().map(|_| world.next()).collect();
        from.sort_by_key(|(rank, _)| *rank);
        assert_eq!(from, targets.iter().map(|rank| (*rank, done(id))).collect::<Vec<_>>());
    }
    assert!(world.engines.iter().all(|engine| engine.inbox.try_recv().is_err()));
}

#[test]
fn reports_of_one_rank_keep_their_order() {
    let mut world = World::new(3);
    let lines = 2000;
    let writers: Vec<_> = world
        .engines
        .iter()
        .map(|engine| engine.outbox.clone())
        .map(|outbox| {
            thread::spawn(move || (0..lines).for_each(|n| outbox.report(&line(7, &n.to_string())).unwrap()))
        })
        .collect();
    let mut next = [0; 3];
    for _ in 0..3 * lines {
        let (rank, report) = world.next();
        assert_eq!(report, line(7, &next[rank as usize].to_string()), "rank {rank}");
        next[rank as usize] += 1;
    }
    writers.into_iter().for_each(|writer| writer.join().unwrap());
}

#[test]
fn who_is_done_moves_mpi_along_until_all_are() {
    let mut world = World::new(3);
    world.fan_out(1, &[0, 1, 2]);
    world.engines.iter().for_each(|engine| drop(engine.take()));
    for engine in &world.engines {
        until(|| !engine.polls());
    }
    world.engines[0].done(1);
    world.engines[1].done(1);
    assert!(world.engines[0].polls() && world.engines[1].polls());
    assert!(!world.engines[2].polls(), "a rank that runs leaves it to its own Python");
    world.engines[2].done(1);
    for rank in [1, 2] {
        // The task, and the word that it is settled.
        world.engines[rank].received(2);
    }
    for engine in &world.engines {
        until(|| !engine.polls());
    }
    assert_eq!(world.engines[0].outbox.counters(), (4, 2));
    assert_eq!(world.engines[1].outbox.counters(), (1, 2));
}

#[test]
fn a_task_of_one_rank_is_settled_by_itself() {
    let mut world = World::new(2);
    world.fan_out(1, &[1]);
    world.engines[1].take();
    world.engines[1].done(1);
    assert_eq!(world.next(), (1, done(1)));
    until(|| world.engines.iter().all(|engine| !engine.polls()));
    assert_eq!(world.engines[1].outbox.counters(), (1, 1));
}

#[test]
fn packets_that_become_visible_late_are_not_missed() {
    let mut world = World::with(3, 14);
    for id in 1..10 {
        world.fan_out(id, &[0, 1, 2]);
        for engine in &world.engines {
            assert_eq!(engine.take().id, id);
            engine.done(id);
        }
        (0..3).for_each(|_| drop(world.next()));
    }
}

/// What the gateway says of one report of rank 1.
fn reported(report: Report) -> FromGateway<'static> {
    FromGateway::Reports { rank: 1, reports: vec![report].into() }
}

#[test]
fn rings_that_found_the_doorbell_full_are_rung_later() {
    let folder = tempfile::tempdir().unwrap();
    let mut bells = (0..2).map(|rank| Doorbell::create(folder.path(), rank).unwrap());
    let mut twins = Twin::world(2).into_iter();
    let (zero, zero_bell) = (twins.next().unwrap(), bells.next().unwrap());
    let mut pipe = ring_by_hand(&folder, 0);
    while pipe.write(&u32::MAX.to_le_bytes()).is_ok() {}
    let one = Engine::start(twins.next().unwrap(), bells.next().unwrap(), None, 0);
    (0..10).for_each(|n| one.outbox.report(&line(1, &n.to_string())).unwrap());
    let (mut kernel, gateway) = UnixStream::pair().unwrap();
    kernel.set_read_timeout(Some(DEADLINE)).unwrap();
    // Each packet is held back for so many looks that only its ring makes the thread look on.
    let _zero = Engine::start(zero, zero_bell, Some(gateway), 14);
    let mut frames = Frames::default();
    for n in 0..10 {
        let report = line(1, &n.to_string());
        assert_eq!(frames.read(&mut kernel).unwrap(), Some(reported(report)));
    }
    until(|| !one.polls());
}

#[test]
fn the_lost_are_neither_sent_to_nor_waited_for() {
    let mut world = World::new(3);
    world.fan_out(1, &[0, 1, 2]);
    for engine in &world.engines[..2] {
        engine.take();
        engine.done(1);
    }
    world.engines[2].take();
    assert!(world.engines[1].polls());
    world.order(&ToGateway::Lost { ranks: vec![2] });
    world.engines[1].received(2);
    until(|| !world.engines[0].polls() && !world.engines[1].polls());
    world.fan_out(2, &[0, 1, 2]);
    assert_eq!((world.engines[0].take().id, world.engines[1].take().id), (2, 2));
    assert_eq!(
        world.engines[2].inbox.recv_timeout(Duration::from_millis(50)),
        Err(RecvTimeoutError::Timeout)
    );
    world.engines[0].done(2);
    world.engines[1].done(2);
    world.engines[1].received(4);
    let zero = world.engines.swap_remove(0).comm.stop();
    assert!(matches!(zero.finalize(), Err(FabricError::Lost { ranks }) if ranks == [2]));
}

#[test]
fn the_end_of_rank_0_ends_the_polling_of_the_others() {
    let mut world = World::new(2);
    world.fan_out(1, &[0, 1]);
    let one = &world.engines[1];
    one.take();
    one.done(1);
    assert!(one.polls());
    one.outbox.lose(&[0]);
    until(|| !one.polls());
    assert!(matches!(one.outbox.report(&line(1, "late")), Err(FabricError::Gone { rank: 0 })));
}

#[test]
fn a_dead_rank_0_is_an_error_of_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let zero = Doorbell::create(folder.path(), 0).unwrap();
    let twin = Twin::world(2).remove(1);
    let one = Engine::start(twin, Doorbell::create(folder.path(), 1).unwrap(), None, 0);
    one.outbox.report(&line(1, "to the living")).unwrap();
    drop(zero);
    assert!(matches!(one.outbox.report(&line(1, "to the dead")), Err(FabricError::Gone { rank: 0 })));
}

#[test]
fn the_end_of_the_kernel_ends_the_comm_thread() {
    let mut world = World::new(2);
    world.fan_out(1, &[0]);
    world.engines[0].take();
    let Engine { comm, outbox, inbox, .. } = world.engines.remove(0);
    drop(world);
    assert_eq!(inbox.recv_timeout(DEADLINE), Err(RecvTimeoutError::Disconnected));
    assert_eq!(comm.reason(), Some(Ended::KernelGone));
    assert!(matches!(outbox.report(&done(1)), Err(FabricError::Ended(Ended::KernelGone))));
    comm.stop().finalize().unwrap();
}

#[test]
fn a_kernel_that_speaks_something_else_ends_the_comm_thread() {
    let mut world = World::new(1);
    world.kernel.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let Engine { comm, inbox, .. } = world.engines.remove(0);
    assert_eq!(inbox.recv_timeout(DEADLINE), Err(RecvTimeoutError::Disconnected));
    assert!(matches!(comm.reason(), Some(Ended::Gateway(_))));
}

#[test]
fn packets_that_make_no_sense_are_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let bell = Doorbell::create(folder.path(), 0).unwrap();
    let _one_bell = Doorbell::create(folder.path(), 1).unwrap();
    let mut twins = Twin::world(2).into_iter();
    let (kernel, gateway) = UnixStream::pair().unwrap();
    kernel.set_read_timeout(Some(DEADLINE)).unwrap();
    let zero = Engine::start(twins.next().unwrap(), bell, Some(gateway), 0);
    let mut one = twins.next().unwrap();
    let good = frame::pack(&Packet::Reports(vec![done(3)].into())).unwrap();
    let mut packets: Vec<Vec<u8>> = (0..good.len()).map(|cut| good[..cut].to_vec()).collect();
    let task = Packet::Tasks { tasks: vec![vec![1].into()].into(), settled: vec![].into() };
    packets.extend([vec![], vec![9], vec![0xff; 40], frame::pack(&task).unwrap()]);
    packets.push(good);
    let mut pipe = ring_by_hand(&folder, 0);
    for packet in packets {
        one.send(0, &packet).unwrap();
        pipe.write_all(&1_u32.to_le_bytes()).unwrap();
    }
    let got = Frames::default().read(&mut &kernel).unwrap();
    assert_eq!(got, Some(reported(done(3))));
    assert_eq!(zero.comm.reason(), None);
}

#[test]
fn a_rank_that_writes_faster_than_the_kernel_takes_has_to_wait() {
    let mut world = World::new(2);
    let (outbox, lines, length) = (world.engines[1].outbox.clone(), 300, 100_000);
    let written = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&written);
    let writer = thread::spawn(move || {
        for _ in 0..lines {
            outbox.report(&line(1, &"x".repeat(length))).unwrap();
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let stalled = || {
        let before = written.load(Ordering::Relaxed);
        thread::sleep(Duration::from_millis(100));
        before > 0 && before == written.load(Ordering::Relaxed)
    };
    until(stalled);
    assert!(written.load(Ordering::Relaxed) < lines / 2, "30 MB of which nobody has taken anything");
    for _ in 0..lines {
        assert_eq!(world.next().1, line(1, &"x".repeat(length)));
    }
    writer.join().unwrap();
}

#[test]
fn who_waits_for_room_learns_of_the_end() {
    let mut world = World::new(2);
    let outbox = world.engines[1].outbox.clone();
    let writer = thread::spawn(move || {
        loop {
            if let Err(error) = outbox.report(&line(1, &"x".repeat(1_000_000))) {
                return error;
            }
        }
    });
    let one = world.engines.remove(1);
    until(|| one.outbox.counters().0 > 3);
    drop(one.comm.stop());
    assert!(matches!(writer.join().unwrap(), FabricError::Ended(Ended::Stopped)));
}

#[test]
fn stopping_hands_the_carrier_back() {
    let mut world = World::new(2);
    for Engine { comm, outbox, inbox, .. } in world.engines.drain(..) {
        comm.stop().finalize().unwrap();
        assert_eq!(inbox.try_recv().ok(), None);
        assert!(matches!(outbox.report(&done(1)), Err(FabricError::Ended(Ended::Stopped))));
    }
}

fn ring_by_hand(folder: &TempDir, rank: Rank) -> std::fs::File {
    let path = folder.path().join(format!("doorbell.{rank}"));
    OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(path).unwrap()
}
