//! What the kernel asks engines to do, and how a task reaches every one of its targets.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::lifeline::Question;
use super::payload::Payload;
use super::report::Report;
use super::{Buffer, Json, Rank};

/// Names one task for the life of a kernel; never used twice, never 0.
pub type TaskId = u64;

/// One task, the same for each of its targets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its name in every report.
    pub id: TaskId,
    /// How many engines run it. A target that is done first keeps MPI progressing for the rest.
    pub targets: u32,
    /// What to do.
    pub work: Work,
}

/// What an engine can be asked to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Work {
    /// Run a cell in the engine's IPython shell.
    Execute {
        /// The source, magics and all.
        code: String,
        /// Count it, keep it in `In` and show its last expression.
        store_history: bool,
        /// Report what it used ([`super::report::Event::Usage`]).
        measure: bool,
    },
    /// Call a function and report its value.
    Apply {
        /// The pickled call.
        payload: Payload,
    },
    /// Answer a question that came by lifeline; part of no task, so its task's id is 0.
    Look {
        /// Names the question in its answer.
        question: u64,
        /// What is asked.
        about: Question,
    },
    /// Hand a frontend's message to the widget, or other comm, that it is for.
    Comm {
        /// The message's header, a JSON object: `comm_msg` or `comm_close`.
        header: Json,
        /// Its content, a JSON object.
        content: Json,
        /// Its metadata, a JSON object.
        metadata: Json,
        /// Its buffers.
        buffers: Vec<Buffer>,
    },
}

impl Work {
    /// The pickle that it comes with, if it does.
    #[must_use]
    pub fn payload(&self) -> Option<&Payload> {
        match self {
            Work::Apply { payload } => Some(payload),
            Work::Execute { .. } | Work::Comm { .. } | Work::Look { .. } => None,
        }
    }

    /// As [`Work::payload`].
    pub fn payload_mut(&mut self) -> Option<&mut Payload> {
        match self {
            Work::Apply { payload } => Some(payload),
            Work::Execute { .. } | Work::Comm { .. } | Work::Look { .. } => None,
        }
    }
}

/// Kernel → gateway (rank 0), on the gateway socket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToGateway {
    /// Hand `task`, an encoded [`Task`], to each of `targets`.
    FanOut {
        /// The task's id, so that the gateway need not decode it.
        id: TaskId,
        /// Ranks in ascending order, without repeats.
        targets: Vec<Rank>,
        /// The task as [`crate::frame::pack`] wrote it, passed on byte for byte.
        task: ByteBuf,
    },
    /// These ranks have died: send them nothing and wait for none of them.
    Lost {
        /// The dead ranks.
        ranks: Vec<Rank>,
    },
}

/// Gateway (rank 0) → kernel, on the gateway socket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FromGateway<'a> {
    /// What `rank` reported.
    Reports {
        /// The reporting engine.
        rank: Rank,
        /// What it said, in order.
        reports: Cow<'a, [Report]>,
    },
}

/// A part of large buffers on their way to a rank that does not share the sender's memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Where it belongs, in bytes from the beginning.
    pub place: u64,
    /// The bytes, or why neither they nor more can be had.
    pub bytes: Result<ByteBuf, String>,
}

/// Rank ↔ rank, on the private communicator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Packet<'a> {
    /// Rank 0 → a target.
    Tasks {
        /// Encoded [`Task`]s, in order.
        tasks: Cow<'a, [ByteBuf]>,
        /// Tasks that all of their targets are done with: stop polling for their sake.
        settled: Cow<'a, [TaskId]>,
    },
    /// A rank → rank 0: what it has to report, in order.
    Reports(Cow<'a, [Report]>),
    /// Comes before the tasks or reports that name the large buffers.
    Piece(Piece),
    /// So much of a rank's reports has been passed on to the kernel, or so much of its pieces has been put
    /// where they belong, so that no rank has more under way than the other can hold.
    Taken {
        /// In bytes of packets.
        bytes: u64,
    },
}
