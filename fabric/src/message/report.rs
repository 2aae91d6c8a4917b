//! What an engine reports while it runs a task, in the order in which its Python did it.

use serde::{Deserialize, Serialize};

use super::payload::Payload;
use super::task::TaskId;
use super::{Buffer, Json};

/// One thing that happened on an engine. The link that carries it says which engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The task it belongs to. Output after the end of a task (of a thread, a child process) still
    /// names the last task that ran; 0 before the first.
    pub task: TaskId,
    /// What happened.
    pub event: Event,
}

/// What can happen on an engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// Text was written, by Python, by C or by a child process.
    Stream {
        /// Where to.
        name: StreamName,
        /// The text, cut at arbitrary places but never inside a character.
        text: String,
    },
    /// Something was displayed: an iopub message to be passed on as it is.
    Publish {
        /// `display_data`, `update_display_data`, `clear_output`, `comm_open`, `comm_msg`, …
        msg_type: String,
        /// The message's content, a JSON object.
        content: Json,
        /// The message's metadata, a JSON object.
        metadata: Json,
        /// The message's buffers.
        buffers: Vec<Buffer>,
    },
    /// The value of a cell's last expression.
    Result {
        /// The engine's own execution count.
        count: u32,
        /// `{"data": mimebundle, "metadata": object}`.
        content: Json,
    },
    /// IPython's pager wants to show something (`obj?`): one payload of an `execute_reply`.
    Payload {
        /// The payload, a JSON object.
        content: Json,
    },
    /// What a call returned; comes before its `Done`.
    Value {
        /// The pickled value.
        payload: Payload,
    },
    /// What the task shows of its state while it runs (`publish_data`).
    Data {
        /// A pickled dictionary.
        payload: Payload,
    },
    /// Code waits for a line of text from the person at the notebook; the answer comes by lifeline
    /// ([`super::lifeline::ToWorker::Input`]).
    Ask {
        /// The engine's own number for the question.
        question: u64,
        /// What to show.
        prompt: String,
        /// Whether what is typed must not be seen.
        password: bool,
    },
    /// What the cell used, where that was to be measured.
    Usage {
        /// Processor time of the process and of children it waited for, in seconds.
        cpu: f64,
        /// The most memory that was resident meanwhile, in bytes.
        peak: u64,
    },
    /// The task is over; nothing of it follows but late output of threads and children.
    Done {
        /// How it ended.
        outcome: Outcome,
        /// The engine's execution count of the cell that ran.
        count: u32,
        /// When Python began with it, in seconds since the epoch, by the engine's clock.
        started: f64,
        /// When Python was done with it, by the same clock.
        completed: f64,
    },
}

impl Event {
    /// The pickle that it comes with, if it does.
    #[must_use]
    pub fn payload(&self) -> Option<&Payload> {
        match self {
            Event::Value { payload } | Event::Data { payload } => Some(payload),
            _ => None,
        }
    }

    /// As [`Event::payload`].
    pub fn payload_mut(&mut self) -> Option<&mut Payload> {
        match self {
            Event::Value { payload } | Event::Data { payload } => Some(payload),
            _ => None,
        }
    }
}

/// Which of the two text streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum StreamName {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl StreamName {
    /// The name Jupyter's `stream` message uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            StreamName::Stdout => "stdout",
            StreamName::Stderr => "stderr",
        }
    }
}

/// How a task ended on one engine. A user's exception is a value, never an `Err`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// It ran to its end.
    Ok,
    /// It raised.
    Error(Raised),
    /// It was taken back before it began.
    Aborted,
}

/// An exception as Jupyter's `error` message shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Raised {
    /// The exception's class name.
    pub ename: String,
    /// `str()` of the exception.
    pub evalue: String,
    /// IPython's formatted traceback, coloured, one entry per block.
    pub traceback: Vec<String>,
}
