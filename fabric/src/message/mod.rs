//! Everything that kernel and engines say to each other, one file per conversation.
//!
//! | file | who to whom | carried by |
//! | --- | --- | --- |
//! | [`task`] | kernel → engines | gateway socket, then MPI (in rescue mode the lifeline) |
//! | [`report`] | engines → kernel | MPI, then the gateway socket (in rescue mode the lifeline) |
//! | [`lifeline`] | kernel ↔ each rank's supervisor and worker | Unix socket |
//! | [`launcher`] | kernel ↔ the process that starts `mpiexec` | its standard input, a socket pair |
//! | [`zygote`] | a rank → the process that forks engines | Unix socket |
//! | [`local`] | kernel ↔ the notebook's own Python | its standard input, a socket pair |
//! | [`client`] | kernel ↔ users of the client API | the local process's link, or a Unix socket |
//!
//! [`payload`] is what those who use the client API have engines work on: pickled values.
//!
//! **Invariant**: an encoding is read only by a peer of the same [`BUILD`], which the first message
//! of every link states; so there are no version fields and no optional members.

pub mod client;
pub mod launcher;
pub mod lifeline;
pub mod local;
pub mod payload;
pub mod report;
pub mod task;
pub mod zygote;

/// A rank of the engines' `MPI_COMM_WORLD`, which is also the engine's id.
pub type Rank = u32;

/// Names the build that a process belongs to. Two processes talk only when theirs are equal.
pub const BUILD: &str = concat!(env!("CARGO_PKG_VERSION"), "+", env!("PARALLEL_PYTHON_BUILD"));

/// One JSON text, passed on without being parsed.
pub type Json = serde_bytes::ByteBuf;

/// Bytes that belong to a message but are not JSON (a widget's array, a pickled buffer).
pub type Buffer = serde_bytes::ByteBuf;
