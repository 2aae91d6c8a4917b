//! Doorbells: how a rank that sleeps learns that a packet is on its way, so that nobody polls when
//! nothing happens. Each rank owns a named pipe in the runtime folder; who sends it a packet writes
//! its own rank (four bytes) into the pipe afterwards.
//!
//! **Invariant**: no ring is lost and no ringer blocks: a ring that finds the pipe full is owed and
//! written when there is room. Rings are counted per sender, because a packet may become visible
//! before or after its ring ([`Heard`]).
//!
//! Why a pipe and not a datagram socket: a socket's queue holds `net.unix.max_dgram_qlen` rings (10
//! on a stock kernel) and each takes a system call to read; a pipe holds 16,384 and one read takes
//! them all. Node-local: across nodes packets need another waker.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, mkfifoat, open, unlink};
use rustix::io::{Errno, read, retry_on_intr, write};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::message::Rank;
use crate::sys;
use crate::transport::FabricError;

/// Bytes of one ring. Writes of up to `PIPE_BUF` bytes are atomic, so rings never interleave.
const RING: usize = size_of::<Rank>();

/// How many rings are written at once at most, well below `PIPE_BUF`.
const BURST: usize = 256;

/// A rank's own doorbell.
#[derive(Debug)]
pub struct Doorbell {
    rank: Rank,
    folder: PathBuf,
    pipe: OwnedFd,
}

impl Doorbell {
    /// Makes the doorbell of `rank` in `folder`, in place of one that an earlier process left.
    ///
    /// # Errors
    /// [`FabricError::Io`] with the pipe's path.
    pub fn create(folder: &Path, rank: Rank) -> Result<Doorbell, FabricError> {
        let path = path(folder, rank);
        // Opened for both directions: opening does not wait for a ringer, and the last ringer's end
        // is not an end of file.
        let make = || {
            match unlink(&path) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error),
            }
            mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR)?;
            open(&path, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())
        };
        let pipe = make().map_err(io::Error::from).map_err(FabricError::io(about("create", &path)))?;
        Ok(Doorbell { rank, folder: folder.to_path_buf(), pipe })
    }

    /// A way to ring the doorbell of `rank`, which has been created before and whose owner may have ended since.
    pub(crate) fn ringer(&self, rank: Rank) -> Result<Ringer, FabricError> {
        let path = path(&self.folder, rank);
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let pipe = match open(&path, flags, Mode::empty()) {
            // Nobody reads it any more, nor this one: the first ring says so.
            Err(Errno::NXIO) => pipe_with(PipeFlags::CLOEXEC).map(|(_reader, writer)| writer),
            opened => opened,
        };
        let pipe = pipe.map_err(io::Error::from).map_err(FabricError::io(about("open", &path)))?;
        Ok(Ringer { pipe, ring: self.rank.to_le_bytes(), owed: 0 })
    }

    /// Takes every ring there is and counts it.
    pub(crate) fn hear(&self, heard: &mut Heard) -> io::Result<()> {
        let mut rings = [0; 1024 * RING];
        loop {
            let count = match retry_on_intr(|| read(&self.pipe, &mut rings)) {
                Ok(count) => count,
                Err(Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            for ring in rings[..count].as_chunks::<RING>().0 {
                heard.ring(Rank::from_le_bytes(*ring));
            }
            if count < rings.len() {
                return Ok(());
            }
        }
    }
}

impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

/// One sender's way to one doorbell.
pub(crate) struct Ringer {
    pipe: OwnedFd,
    ring: [u8; RING],
    owed: usize,
}

/// What became of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rung {
    /// It was written, and so was everything owed.
    Heard,
    /// The pipe is full: call [`Ringer::settle`] when it is writable.
    Owed,
    /// The doorbell's owner has ended.
    Gone,
}

impl Ringer {
    /// Rings once.
    pub(crate) fn ring(&mut self) -> Rung {
        self.owed += 1;
        self.settle()
    }

    /// Writes what is owed.
    pub(crate) fn settle(&mut self) -> Rung {
        while self.owed > 0 {
            let burst = self.owed.min(BURST);
            // A pipe without a reader answers with SIGPIPE, which user code may have set to kill.
            match sys::without_sigpipe(|| retry_on_intr(|| write(&self.pipe, &self.ring.repeat(burst)))) {
                Ok(written) => self.owed -= written / RING,
                Err(Errno::AGAIN) if burst > 1 && self.write_one() => self.owed -= 1,
                Err(Errno::AGAIN) => return Rung::Owed,
                Err(_no_reader) => {
                    self.owed = 0;
                    return Rung::Gone;
                }
            }
        }
        Rung::Heard
    }

    /// Whether rings are owed.
    pub(crate) fn owes(&self) -> bool {
        self.owed > 0
    }

    fn write_one(&self) -> bool {
        sys::without_sigpipe(|| retry_on_intr(|| write(&self.pipe, &self.ring))).is_ok()
    }
}

impl AsFd for Ringer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

impl fmt::Debug for Ringer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Ringer").field("owed", &self.owed).finish_non_exhaustive()
    }
}

/// Rings minus packets, per sender: positive when a packet was announced and is not visible yet,
/// negative when one was seen before its ring.
#[derive(Debug)]
pub(crate) struct Heard {
    balance: Vec<i64>,
}

impl Heard {
    /// Nothing heard of `size` ranks.
    pub(crate) fn new(size: u32) -> Heard {
        Heard { balance: vec![0; size as usize] }
    }

    /// A ring of `from`. One of a rank that does not exist is no ring.
    pub(crate) fn ring(&mut self, from: Rank) {
        if let Some(balance) = self.balance.get_mut(from as usize) {
            *balance += 1;
        }
    }

    /// A packet of `from` was received.
    pub(crate) fn packet(&mut self, from: Rank) {
        if let Some(balance) = self.balance.get_mut(from as usize) {
            *balance -= 1;
        }
    }

    /// Nothing more is expected of `from`; also for a rank that rings itself, without a packet.
    pub(crate) fn forget(&mut self, from: Rank) {
        if let Some(balance) = self.balance.get_mut(from as usize) {
            *balance = 0;
        }
    }

    /// Whether a packet was announced that has not been received.
    pub(crate) fn expects(&self) -> bool {
        self.balance.iter().any(|balance| *balance > 0)
    }
}

fn path(folder: &Path, rank: Rank) -> PathBuf {
    folder.join(format!("doorbell.{rank}"))
}

fn about(verb: &str, path: &Path) -> String {
    format!("cannot {verb} the doorbell `{}`", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_ring_is_lost_when_the_pipe_is_full() {
        let folder = tempfile::tempdir().unwrap();
        let zero = Doorbell::create(folder.path(), 0).unwrap();
        let one = Doorbell::create(folder.path(), 1).unwrap();
        let mut ringer = one.ringer(0).unwrap();
        let rings = 40_000;
        let full = (0..rings).filter(|_| ringer.ring() == Rung::Owed).count();
        assert!(full > 0, "the pipe holds fewer than {rings} rings");
        let mut heard = Heard::new(2);
        while ringer.owes() {
            zero.hear(&mut heard).unwrap();
            ringer.settle();
        }
        zero.hear(&mut heard).unwrap();
        assert_eq!(heard.balance, [0, rings]);
    }

    #[test]
    fn a_dead_owner_is_noticed_and_kills_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let zero = Doorbell::create(folder.path(), 0).unwrap();
        let mut ringer = Doorbell::create(folder.path(), 1).unwrap().ringer(0).unwrap();
        assert_eq!(ringer.ring(), Rung::Heard);
        drop(zero);
        sys::tests::with_default_sigpipe(|| assert_eq!(ringer.ring(), Rung::Gone));
        let mut late = Doorbell::create(folder.path(), 1).unwrap().ringer(0).unwrap();
        sys::tests::with_default_sigpipe(|| assert_eq!(late.ring(), Rung::Gone));
    }

    #[test]
    fn a_packet_may_come_before_its_ring() {
        let mut heard = Heard::new(2);
        heard.packet(1);
        assert!(!heard.expects());
        heard.ring(1);
        assert!(!heard.expects());
        heard.ring(1);
        assert!(heard.expects());
        heard.ring(7);
        heard.forget(1);
        assert!(!heard.expects());
    }

    #[test]
    fn a_left_over_doorbell_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        drop(Doorbell::create(folder.path(), 0).unwrap());
        let again = Doorbell::create(folder.path(), 0).unwrap();
        assert_eq!(again.ringer(0).unwrap().ring(), Rung::Heard);
    }
}
