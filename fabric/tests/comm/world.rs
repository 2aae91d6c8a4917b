//! A kernel and its engines in one process, on the in-process twin. Every wait has a deadline.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use fabric::comm::{Comm, Outbox};
use fabric::doorbell::Doorbell;
use fabric::frame::{self, Frames};
use fabric::message::Rank;
use fabric::message::report::{Event, Outcome, Report, StreamName};
use fabric::message::task::{FromGateway, Task, TaskId, ToGateway, Work};
use fabric::transport::{Fabric, FabricError};
use fabric::twin::Twin;
use tempfile::TempDir;

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// One rank with its comm thread.
pub(crate) struct Engine {
    pub(crate) comm: Comm,
    pub(crate) outbox: Outbox,
    pub(crate) inbox: Receiver<Task>,
    pub(crate) give: Sender<Task>,
    pub(crate) looks: Arc<AtomicU64>,
}

/// A kernel and its engines in one process.
pub(crate) struct World {
    pub(crate) kernel: UnixStream,
    pub(crate) frames: Frames,
    pub(crate) engines: Vec<Engine>,
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
    pub(crate) fn new(size: u32) -> World {
        World::with(size, 0)
    }

    pub(crate) fn with(size: u32, late: u32) -> World {
        let folder = tempfile::tempdir().unwrap();
        let (kernel, gateway) = UnixStream::pair().unwrap();
        kernel.set_read_timeout(Some(DEADLINE)).unwrap();
        let bells: Vec<_> = (0..size).map(|rank| Doorbell::create(folder.path(), rank).unwrap()).collect();
        let mut gateway = Some(gateway);
        let start = |(twin, bell)| Engine::start(twin, bell, gateway.take(), late);
        let engines = Twin::world(size).into_iter().zip(bells).map(start).collect();
        World { kernel, frames: Frames::default(), engines, _folder: folder }
    }

    pub(crate) fn fan_out(&mut self, id: TaskId, targets: &[Rank]) {
        let task = Task { id, targets: u32::try_from(targets.len()).unwrap(), work: pass() };
        let task = frame::pack(&task).unwrap().into();
        self.order(&ToGateway::FanOut { id, targets: targets.to_vec(), task });
    }

    pub(crate) fn order(&mut self, order: &ToGateway) {
        frame::write(&mut self.kernel, order).unwrap();
    }

    pub(crate) fn next(&mut self) -> (Rank, Report) {
        let FromGateway::Reports { rank, reports } = self.frames.read(&mut self.kernel).unwrap().unwrap();
        let [report] = <[Report; 1]>::try_from(reports.into_owned()).unwrap();
        (rank, report)
    }
}

impl Engine {
    pub(crate) fn start(twin: Twin, bell: Doorbell, gateway: Option<UnixStream>, late: u32) -> Engine {
        let looks = Arc::new(AtomicU64::new(0));
        let watched = Watched { twin, looks: Arc::clone(&looks), late, held: None };
        let (give, inbox) = channel();
        let (comm, outbox) = Comm::start(Box::new(watched), bell, gateway, give.clone(), false).unwrap();
        Engine { comm, outbox, inbox, give, looks }
    }

    pub(crate) fn take(&self) -> Task {
        self.inbox.recv_timeout(DEADLINE).unwrap()
    }

    pub(crate) fn done(&self, task: TaskId) {
        self.outbox.report(&done(task)).unwrap();
    }

    /// Waits until this many packets have been received.
    pub(crate) fn received(&self, count: u64) {
        until(|| self.outbox.counters().1 == count);
    }

    /// Whether the comm thread looks for packets though none is announced.
    pub(crate) fn polls(&self) -> bool {
        let before = self.looks.load(Ordering::Relaxed);
        thread::sleep(Duration::from_millis(60));
        self.looks.load(Ordering::Relaxed) > before + 1
    }
}

pub(crate) fn pass() -> Work {
    Work::Execute { code: "pass".into(), store_history: false, measure: false }
}

pub(crate) fn done(task: TaskId) -> Report {
    Report { task, event: Event::Done { outcome: Outcome::Ok, count: 1, started: 0.0, completed: 1.0 } }
}

pub(crate) fn line(task: TaskId, text: &str) -> Report {
    Report { task, event: Event::Stream { name: StreamName::Stdout, text: text.into() } }
}

pub(crate) fn until(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// What the gateway says of one report of rank 1.
pub(crate) fn reported(report: Report) -> FromGateway<'static> {
    FromGateway::Reports { rank: 1, reports: vec![report].into() }
}

pub(crate) fn ring_by_hand(folder: &TempDir, rank: Rank) -> std::fs::File {
    let path = folder.path().join(format!("doorbell.{rank}"));
    OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(path).unwrap()
}
