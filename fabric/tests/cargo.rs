//! Large buffers between ranks that do not share memory, on the in-process twin: from the kernel's end of the
//! gateway socket to a rank's inbox, and back. Every wait has a deadline.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use fabric::comm::{Comm, Outbox};
use fabric::doorbell::Doorbell;
use fabric::frame::{self, Frames};
use fabric::message::payload::{Blob, Payload, Shared, inode_of};
use fabric::message::report::{Event, Outcome, Report};
use fabric::message::task::{FromGateway, Task, TaskId, ToGateway, Work};
use fabric::twin::Twin;

const DEADLINE: Duration = Duration::from_secs(20);

struct World {
    kernel: UnixStream,
    frames: Frames,
    ranks: Vec<(Comm, Outbox, Receiver<Task>)>,
    _folder: tempfile::TempDir,
}

impl World {
    fn new(size: u32) -> World {
        let folder = tempfile::tempdir().unwrap();
        let (kernel, gateway) = UnixStream::pair().unwrap();
        kernel.set_read_timeout(Some(DEADLINE)).unwrap();
        let bells: Vec<_> = (0..size).map(|rank| Doorbell::create(folder.path(), rank).unwrap()).collect();
        let mut gateway = Some(gateway);
        let start = |(twin, bell)| {
            let (tasks, inbox) = channel();
            let (comm, outbox) = Comm::start(Box::new(twin), bell, gateway.take(), tasks, true).unwrap();
            (comm, outbox, inbox)
        };
        let ranks = Twin::world(size).into_iter().zip(bells).map(start).collect();
        World { kernel, frames: Frames::default(), ranks, _folder: folder }
    }

    fn fan_out(&mut self, id: TaskId, targets: &[u32], work: Work) {
        let task = Task { id, targets: u32::try_from(targets.len()).unwrap(), work };
        let task = frame::pack(&task).unwrap().into();
        let order = ToGateway::FanOut { id, targets: targets.to_vec(), task };
        frame::write(&mut self.kernel, &order).unwrap();
    }

    fn take(&self, rank: usize) -> Task {
        self.ranks[rank].2.recv_timeout(DEADLINE).unwrap()
    }
}

fn memory_file(bytes: &[u8]) -> (File, Blob) {
    let file = rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).map(File::from).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    let descriptor = file.as_raw_fd().cast_unsigned();
    let (inode, length) = (inode_of(&file).unwrap(), bytes.len() as u64);
    let blob = Blob::Shared(Shared { holder: std::process::id(), descriptor, inode, offset: 0, length });
    (file, blob)
}

fn apply(blob: Option<Blob>) -> Work {
    Work::Apply { payload: Payload { buffers: blob.into_iter().collect(), ..Payload::default() } }
}

/// Where the only buffer is, and what it holds.
fn read(payload: &Payload) -> (u32, Vec<u8>) {
    let [Blob::Shared(shared)] = payload.buffers[..] else { panic!("{payload:?}") };
    let Shared { descriptor, offset, length, .. } = shared;
    let file = shared.open().unwrap();
    let mut bytes = vec![0; usize::try_from(length).unwrap()];
    file.read_exact_at(&mut bytes, offset).unwrap();
    (descriptor, bytes)
}

fn payload(task: &Task) -> &Payload {
    let Work::Apply { payload } = &task.work else { panic!("{task:?}") };
    payload
}

fn done() -> Event {
    Event::Done { outcome: Outcome::Ok, count: 1, started: 0.0, completed: 0.0 }
}

#[test]
fn large_buffers_are_copied_to_ranks_and_back() {
    let bytes: Vec<u8> = (0..9_000_001_u32).flat_map(|n| n.to_le_bytes()).step_by(4).collect();
    let mut world = World::new(3);
    let (file, blob) = memory_file(&bytes);
    let own = file.as_raw_fd().cast_unsigned();
    world.fan_out(1, &[0, 1, 2], apply(Some(blob)));
    // What follows does not overtake it.
    world.fan_out(2, &[1], apply(None));
    let mut copies = Vec::new();
    for rank in 0..3 {
        let task = world.take(rank);
        let (descriptor, got) = read(payload(&task));
        assert!(task.id == 1 && got == bytes, "rank {rank}");
        assert_eq!(descriptor == own, rank == 0, "rank 0 shares the kernel's memory");
        copies.push(descriptor);
    }
    assert_eq!(world.take(1).id, 2);

    // Back, with the end in the same report.
    let (back, blob) = memory_file(&bytes[1..]);
    let value = Event::Value { payload: Payload { buffers: vec![blob], ..Payload::default() } };
    let reports = [value, done()].map(|event| Report { task: 1, event });
    world.ranks[1].1.report_all(&reports).unwrap();
    drop(back);
    let FromGateway::Reports { rank, reports } = world.frames.read(&mut world.kernel).unwrap().unwrap();
    let Event::Value { payload } = &reports[0].event else { panic!("{reports:?}") };
    let (descriptor, got) = read(payload);
    assert!(rank == 1 && got == bytes[1..] && matches!(reports[1].event, Event::Done { .. }));

    // It goes when the task has ended here, or when the kernel has it.
    let name = |descriptor: u32| std::fs::read_link(format!("/proc/self/fd/{descriptor}"));
    let is_ours =
        |descriptor| name(descriptor).is_ok_and(|to| to.to_string_lossy().contains("parallel-python"));
    assert!(!is_ours(copies[1]) && is_ours(copies[2]) && is_ours(descriptor));
    world.ranks[0].1.release(&[descriptor]);
    assert!(!is_ours(descriptor));
}
