//! The carrier of packets between ranks, as the comm thread sees it: MPI ([`crate::mpi`]) or, in
//! tests, one process ([`crate::twin`]).
//!
//! **Invariant**: packets from one rank to another arrive whole and in the order in which they were
//! sent. **Boundary**: a carrier knows no message types, wakes nobody ([`crate::doorbell`] does) and
//! is used by one thread at a time.

use std::io;
use std::path::PathBuf;

use crate::comm::Ended;
use crate::frame::FrameError;
use crate::message::Rank;

/// One rank's end of the carrier.
pub trait Fabric: Send {
    /// This rank.
    fn rank(&self) -> Rank;

    /// How many ranks there are.
    fn size(&self) -> u32;

    /// What carries the packets: the first line of `MPI_Get_library_version`.
    fn library(&self) -> &str;

    /// Blocks until every rank has called this; once, before the first packet.
    ///
    /// # Errors
    /// What the carrier says.
    fn barrier(&mut self) -> Result<(), FabricError>;

    /// Hands a copy of `bytes` to the carrier. Returns at once; [`Fabric::progress`] completes it.
    ///
    /// # Errors
    /// [`FabricError::NoSuchRank`], [`FabricError::TooLong`], and what the carrier says.
    fn send(&mut self, to: Rank, bytes: &[u8]) -> Result<(), FabricError>;

    /// The next packet that has arrived, and who sent it; `None` when none has.
    ///
    /// # Errors
    /// What the carrier says.
    fn receive(&mut self) -> Result<Option<(Rank, Vec<u8>)>, FabricError>;

    /// Moves what was sent along; how many sends to living ranks are not complete.
    ///
    /// # Errors
    /// What the carrier says.
    fn progress(&mut self) -> Result<usize, FabricError>;

    /// `rank` has died: what was sent to it no longer counts as pending, and further sends to it
    /// are dropped.
    fn lose(&mut self, rank: Rank);

    /// Leaves the world in good order, together with every other rank. On the thread that started.
    ///
    /// # Errors
    /// [`FabricError::Lost`] when a rank has died, for then the carrier cannot be closed and the
    /// process has to end without; and what the carrier says.
    fn finalize(self: Box<Self>) -> Result<(), FabricError>;
}

/// Why packets cannot travel.
#[derive(Debug, thiserror::Error)]
pub enum FabricError {
    /// The MPI plugin, or the libmpi that it is to bind to, cannot be opened.
    #[error("cannot open `{}`: {reason}", path.display())]
    Open {
        /// The library's file.
        path: PathBuf,
        /// What the dynamic linker said.
        reason: String,
    },
    /// The plugin belongs to a different build.
    #[error(
        "the MPI plugin `{}` has interface version {found}, this engine needs {}: \
         build and install both together",
        path.display(),
        crate::abi::VERSION
    )]
    Version {
        /// The plugin's file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// MPI returned an error.
    #[error("MPI: {reason}")]
    Mpi {
        /// The call and its `MPI_Error_string`.
        reason: String,
    },
    /// The packet is too long for one MPI message.
    #[error(
        "a packet of {length} bytes: one MPI message holds at most {}; bulk data takes another way",
        i32::MAX
    )]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// There is no such rank.
    #[error("no rank {rank}: ranks are 0..{size}")]
    NoSuchRank {
        /// The rank that was named.
        rank: Rank,
        /// How many there are.
        size: u32,
    },
    /// The rank that the packet was for has died.
    #[error("rank {rank} is gone")]
    Gone {
        /// The dead rank.
        rank: Rank,
    },
    /// Ranks have died, so MPI cannot be finalised.
    #[error("MPI cannot be finalised: ranks {ranks:?} are gone")]
    Lost {
        /// The dead ranks.
        ranks: Vec<Rank>,
    },
    /// A child process of the engine's wants to report.
    #[error("a forked process has no link to the other ranks")]
    Forked,
    /// The comm thread has ended.
    #[error("the link to the other ranks has ended: {0}")]
    Ended(Ended),
    /// A doorbell, a thread or the gateway socket failed.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A value has no encoding.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

impl FabricError {
    /// Puts what was attempted in front of a system error.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> FabricError {
        let what = what.into();
        move |source| FabricError::Io { what, source }
    }
}
