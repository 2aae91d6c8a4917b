//! Large buffers on their way between ranks that do not share memory: in pieces, from the memory file in which
//! they lie to another one on the other side. However large they are, a few pieces are in memory at a time. What is
//! not that large is read into its message, which is there sooner.
//!
//! A blob without a holder ([`NOBODY`]) lies in the file whose pieces came before the message with the blob.
//!
//! **Invariant**: a blob that cannot be carried arrives as [`Blob::Lost`] and says why; its message arrives all
//! the same.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::fs::{MemfdFlags, memfd_create};

use crate::message::Rank;
use crate::message::payload::{Blob, Payload, Shared, inode_of, read};
use crate::message::report::Report;
use crate::message::task::{Piece, Task};

/// The most that one packet carries.
pub(super) const PIECE: u64 = 1 << 20;

/// From this size on, in bytes, a value's buffers travel in pieces.
const LARGE: u64 = 256 << 10;

/// The holder of what came in pieces.
const NOBODY: u32 = 0;

/// Buffers begin at such places, so that each can be mapped by itself.
const PAGE: u64 = 4096;

/// The buffers of one message.
#[derive(Debug, Default)]
pub(super) struct Cargo {
    parts: Vec<Part>,
    length: u64,
}

/// One buffer.
#[derive(Debug)]
struct Part {
    file: Arc<File>,
    /// Where it is in the file.
    from: u64,
    length: u64,
    /// Where it will be.
    to: u64,
}

/// How far a cargo has been carried.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Position {
    part: usize,
    offset: u64,
}

/// What arrives from each rank.
pub(super) type Holds = BTreeMap<Rank, Hold>;

/// A buffer's file as it arrives.
#[derive(Debug)]
pub(super) struct Hold {
    file: Result<File, String>,
}

impl Cargo {
    /// The buffers of a task, if it has large ones; the task names them as they will be.
    pub(super) fn of_task(task: &mut Task) -> Option<Cargo> {
        let payload = task.work.payload_mut()?;
        let mut cargo = Cargo::default();
        cargo.take(payload);
        cargo.unless_empty()
    }

    /// As [`Cargo::of_task`], for what one engine reports together.
    pub(super) fn of_reports(reports: &mut [Report]) -> Option<Cargo> {
        let mut cargo = Cargo::default();
        payloads_of(reports).for_each(|payload| cargo.take(payload));
        cargo.unless_empty()
    }

    fn unless_empty(self) -> Option<Cargo> {
        (!self.parts.is_empty()).then_some(self)
    }

    fn take(&mut self, payload: &mut Payload) {
        let is_large = payload.size() >= LARGE;
        let mut open: HashMap<(u32, u32), Result<Arc<File>, String>> = HashMap::new();
        for blob in &mut payload.buffers {
            let Blob::Shared(shared) = *blob else { continue };
            let Shared { holder, descriptor, offset, length, .. } = shared;
            let file = open.entry((holder, descriptor)).or_insert_with(|| shared.open().map(Arc::new));
            *blob = match file {
                Ok(file) if !is_large => read(file, offset, length).map_or_else(Blob::Lost, Blob::Inline),
                Ok(file) => {
                    let to = self.length;
                    self.parts.push(Part { file: Arc::clone(file), from: offset, length, to });
                    self.length += length.next_multiple_of(PAGE);
                    Blob::Shared(Shared { holder: NOBODY, descriptor: 0, inode: 0, offset: to, length })
                }
                Err(why) => Blob::Lost(why.clone()),
            };
        }
    }

    /// The next piece; `None` when there are no more.
    pub(super) fn piece(&self, position: &mut Position) -> Option<Piece> {
        let part = self.parts.get(position.part)?;
        let length = (part.length - position.offset).min(PIECE);
        let place = part.to + position.offset;
        let bytes = read(&part.file, part.from + position.offset, length);
        *position = match bytes {
            Err(_) => Position { part: self.parts.len(), offset: 0 },
            Ok(_) if position.offset + length == part.length => {
                Position { part: position.part + 1, offset: 0 }
            }
            Ok(_) => Position { part: position.part, offset: position.offset + length },
        };
        Some(Piece { place, bytes })
    }
}

impl Hold {
    /// A new memory file, or why there is none.
    pub(super) fn new() -> Hold {
        let file = memfd_create("parallel-python", MemfdFlags::CLOEXEC).map(File::from);
        Hold { file: file.map_err(|error| format!("there is no memory file for large data: {error}")) }
    }

    /// A piece has arrived.
    pub(super) fn add(&mut self, piece: Piece) {
        let Ok(file) = &self.file else { return };
        let so_far = piece.place / 1_000_000;
        let no_memory =
            |error| format!("there is no memory for data beyond the first {so_far} MB of it: {error}");
        let written = piece.bytes.and_then(|bytes| file.write_all_at(&bytes, piece.place).map_err(no_memory));
        if let Err(why) = written {
            self.file = Err(why);
        }
    }

    /// Puts what has arrived in place of what a task names: the file to keep as long as somebody may open it.
    pub(super) fn deliver_task(holds: &mut Holds, from: Rank, task: &mut Task) -> Option<File> {
        let is_carried = task.work.payload().is_some_and(names_cargo);
        if is_carried { Hold::of(holds, from).deliver(task.work.payload_mut()) } else { None }
    }

    /// As [`Hold::deliver_task`].
    pub(super) fn deliver_reports(holds: &mut Holds, from: Rank, reports: &mut [Report]) -> Option<File> {
        let is_carried = reports.iter().filter_map(|report| report.event.payload()).any(names_cargo);
        if is_carried { Hold::of(holds, from).deliver(payloads_of(reports)) } else { None }
    }

    fn of(holds: &mut Holds, from: Rank) -> Hold {
        holds.remove(&from).unwrap_or(Hold { file: Err("large data has not arrived".to_owned()) })
    }

    fn deliver<'a>(self, payloads: impl IntoIterator<Item = &'a mut Payload>) -> Option<File> {
        let (holder, mut end) = (std::process::id(), 0);
        let place = self.file.as_ref().map_err(Clone::clone).and_then(|file| {
            let inode = inode_of(file).map_err(|error| format!("large data has no memory file: {error}"))?;
            Ok((file.as_raw_fd().cast_unsigned(), inode))
        });
        for blob in payloads.into_iter().flat_map(|payload| &mut payload.buffers) {
            let Blob::Shared(Shared { holder: NOBODY, offset, length, .. }) = *blob else { continue };
            end = end.max(offset.saturating_add(length));
            *blob = match &place {
                Ok((descriptor, inode)) => {
                    Blob::Shared(Shared { holder, descriptor: *descriptor, inode: *inode, offset, length })
                }
                Err(why) => Blob::Lost(why.clone()),
            };
        }
        let file = self.file.ok()?;
        // Who maps it may look at all of it.
        let is_whole = file.metadata().is_ok_and(|about| about.len() >= end);
        (is_whole || file.set_len(end).is_ok()).then_some(file)
    }
}

fn payloads_of(reports: &mut [Report]) -> impl Iterator<Item = &mut Payload> {
    reports.iter_mut().filter_map(|report| report.event.payload_mut())
}

/// Whether a report has buffers in shared memory.
pub(super) fn is_shared(report: &Report) -> bool {
    report.event.payload().is_some_and(Payload::is_shared)
}

fn names_cargo(payload: &Payload) -> bool {
    payload.shared().any(|shared| shared.holder == NOBODY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::report::{Event, Outcome};
    use crate::message::task::Work;

    fn shared(file: &File, offset: u64, length: u64) -> Blob {
        let descriptor = file.as_raw_fd().cast_unsigned();
        let inode = inode_of(file).unwrap();
        Blob::Shared(Shared { holder: std::process::id(), descriptor, inode, offset, length })
    }

    #[test]
    fn what_arrives_is_what_was_sent() {
        let bytes: Vec<u8> =
            (0..2 * PIECE + 12_345).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
        let file = File::from(memfd_create("test", MemfdFlags::CLOEXEC).unwrap());
        file.write_all_at(&bytes, 0).unwrap();
        let length = bytes.len() as u64;
        let buffers = vec![
            shared(&file, 100, length - 100),
            Blob::Inline(vec![1, 2].into()),
            shared(&file, 0, 10),
            shared(&file, 0, 0),
            Blob::Shared(Shared { holder: u32::MAX, descriptor: 3, inode: 0, offset: 0, length: 1 }),
        ];
        let event = Event::Value { payload: Payload { buffers, ..Payload::default() } };
        let done = Event::Done { outcome: Outcome::Ok, count: 0, started: 0.0, completed: 0.0 };
        let mut reports = [event, done].map(|event| Report { task: 1, event });
        let cargo = Cargo::of_reports(&mut reports).unwrap();
        let (mut hold, mut position) = (Hold::new(), Position::default());
        while let Some(piece) = cargo.piece(&mut position) {
            assert!(piece.bytes.as_ref().unwrap().len() as u64 <= PIECE);
            hold.add(piece);
        }
        let kept = Hold::deliver_reports(&mut Holds::from([(3, hold)]), 3, &mut reports).unwrap();
        let Event::Value { payload } = &reports[0].event else { panic!("{reports:?}") };
        let read = |blob: &Blob| {
            let Blob::Shared(Shared { offset, length, .. }) = *blob else { panic!("{blob:?}") };
            let mut bytes = vec![0; usize::try_from(length).unwrap()];
            kept.read_exact_at(&mut bytes, offset).unwrap();
            bytes
        };
        assert!(read(&payload.buffers[0]) == bytes[100..]);
        assert_eq!(payload.buffers[1], Blob::Inline(vec![1, 2].into()));
        assert_eq!(read(&payload.buffers[2]), bytes[..10]);
        assert!(read(&payload.buffers[3]).is_empty());
        assert!(matches!(&payload.buffers[4], Blob::Lost(why) if why.contains("cannot be opened")));
    }

    #[test]
    fn what_is_not_large_is_read_into_its_message() {
        let file = File::from(memfd_create("test", MemfdFlags::CLOEXEC).unwrap());
        file.write_all_at(b"some text", 0).unwrap();
        let gone = Blob::Shared(Shared { holder: u32::MAX, descriptor: 3, inode: 0, offset: 0, length: 1 });
        let buffers = vec![shared(&file, 5, 4), gone, shared(&file, 5, 5)];
        let work = Work::Apply { payload: Payload { buffers, ..Payload::default() } };
        let mut task = Task { id: 1, targets: 1, work };
        assert!(Cargo::of_task(&mut task).is_none());
        let [text, gone, short] = &task.work.payload().unwrap().buffers[..] else { panic!("{task:?}") };
        assert_eq!(*text, Blob::Inline(b"text".to_vec().into()));
        assert!(matches!(gone, Blob::Lost(why) if why.contains("cannot be opened")));
        assert!(matches!(short, Blob::Lost(why) if why.contains("cannot be read")));
    }

    #[test]
    fn what_never_came_is_lost() {
        let buffers =
            vec![Blob::Shared(Shared { holder: NOBODY, descriptor: 0, inode: 0, offset: 0, length: 9 })];
        let work = Work::Apply { payload: Payload { buffers, ..Payload::default() } };
        let mut task = Task { id: 1, targets: 1, work };
        assert!(Hold::deliver_task(&mut Holds::new(), 0, &mut task).is_none());
        assert!(task.work.payload().unwrap().lost().is_some());
    }
}
