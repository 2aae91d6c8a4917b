//! A rank's conversation with the *zygote*, the process that has loaded Python already and forks engines: instead of
//! loading Python once more, the rank asks for a copy.
//!
//! ```text
//!  rank ── one byte, with descriptors (SCM_RIGHTS) ──► zygote
//!       ── Order ───────────────────────────────────► zygote ─ forks ─► supervisor ─ forks ─► worker
//!       ◄── Forked ─────────────────────────────────────────────────────┘
//!       ◄── Over ────────────────── much later, the supervisor
//! ```
//!
//! **Invariant**: an end of file before [`FromZygote::Forked`] means that nothing was forked and the rank is to start
//! its worker itself; later, without [`FromZygote::Over`], that the supervisor was killed. The rank's end of file
//! is what ends the supervisor.

use serde::{Deserialize, Serialize};

use crate::environment::Variable;

/// Rank → zygote: what the copy is to be like. Strings are bytes as the system has them.
///
/// Beside it travel descriptors: the worker's log, the file for faults, and then those that [`Order::descriptors`]
/// numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// The whole environment: names and values.
    pub environment: Vec<Variable>,
    /// The working directory.
    pub directory: serde_bytes::ByteBuf,
    /// The numbers of what the rank has inherited: the supervisor gets the standard streams, the worker the rest.
    pub descriptors: Vec<i32>,
    /// The program that the worker's supervisor becomes, and its arguments but for the last three: the worker's
    /// process id and the numbers of the descriptors for faults and for this conversation.
    pub supervisor: Vec<serde_bytes::ByteBuf>,
}

/// Zygote, then supervisor → rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromZygote {
    /// The worker runs and has a supervisor.
    Forked,
    /// The worker has quit or was ended, and so has everything below it.
    Over,
}
