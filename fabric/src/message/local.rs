//! The conversation between the kernel and the notebook's own Python: Jupyter messages as they are,
//! one shell request at a time, and calls of parallel magics out of running code.
//!
//! **Invariant**: the kernel sends the next [`ToLocal::Message`] on the shell channel of the main
//! shell only after [`FromLocal::Finished`] for the one before.

use serde::{Deserialize, Serialize};

use super::client::{Ask, Told};
use super::report::{Raised, StreamName};
use super::{Buffer, Json, Rank};

/// A Jupyter message without its signature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The channel it came in on, or is to go out on.
    pub channel: Channel,
    /// Routing identities in front of the delimiter; on iopub the topic.
    pub identities: Vec<Buffer>,
    /// The four JSON parts, byte for byte.
    pub header: Json,
    /// The parent's header.
    pub parent: Json,
    /// Metadata.
    pub metadata: Json,
    /// Content.
    pub content: Json,
    /// Binary buffers.
    pub buffers: Vec<Buffer>,
}

/// Jupyter's channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Channel {
    /// Requests in order.
    Shell,
    /// Requests that overtake.
    Control,
    /// Requests from kernel to frontend.
    Stdin,
    /// Broadcasts.
    Iopub,
}

/// A parallel magic as the local shell registers it, from the kernel's table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MagicSpec {
    /// Its name without percent signs.
    pub name: String,
    /// Whether `%name` exists.
    pub line: bool,
    /// Whether `%%name` exists.
    pub cell: bool,
    /// Whether a set that is activated under a suffix has it too: `%name_x`.
    pub suffixed: bool,
    /// What `%name?` shows.
    pub help: String,
}

/// Kernel → local process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToLocal {
    /// The first message: what the local shell needs to know of the kernel.
    Setup {
        /// The Jupyter session id that its messages carry.
        session: String,
        /// Where the connection file is (`%connect_info`).
        connection_file: String,
        /// The magics that call the kernel.
        magics: Vec<MagicSpec>,
    },
    /// A client's message on shell or control, or its answer on stdin.
    Message(Message),
    /// A control request that the kernel has answered by itself: the last one, for `get_parent("control")`.
    Answered(Message),
    /// Raise `KeyboardInterrupt` in what runs.
    Interrupt,
    /// A cell that ran on the engines: keep it in the history and count it.
    Record {
        /// Its source as it was typed.
        code: String,
        /// Its execution count; the shell's next one is one more.
        count: u32,
    },
    /// The answer to [`FromLocal::Call`].
    Answer {
        /// The call.
        call: u64,
        /// How it went.
        answer: Answer,
        /// What was to be shown, where the call has it captured: messages for iopub, in order.
        shown: Vec<Message>,
    },
    /// Something of the client API.
    Client(Told),
    /// A parallel cell did not wait: give its result to the notebook's namespace, as an `AsyncResult`.
    Bind {
        /// The task's name in the client API.
        name: String,
        /// The variable to bind it to.
        variable: Option<String>,
        /// Whether it is the value of the cell too (`_`, `Out[count]`).
        show: bool,
        /// The header of the request that it belongs to, a JSON object.
        parent: Json,
        /// The cell's execution count.
        count: u32,
    },
    /// `%pxconfig` has changed what a set's view says.
    Configured(ViewChange),
    /// Engines do not know a name: does the notebook's namespace? The answer is [`FromLocal::Sought`].
    Seek {
        /// The name.
        name: String,
    },
    /// End: run the exit handlers, then exit.
    Quit,
}

/// What `%pxconfig` has changed of the view that a set of magics belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ViewChange {
    /// The set's suffix; empty for `%px` itself.
    pub suffix: String,
    /// Its targets, as JSON: `"all"`, an engine, or a list of engines.
    pub targets: Option<Json>,
    /// Whether its calls wait for the engines.
    pub block: Option<bool>,
}

/// How a call of a parallel magic went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// It is done and everything it had to show has been shown.
    Done,
    /// It failed, and so must the code that called it.
    Failed {
        /// As it is shown.
        shown: Raised,
        /// What each engine raised, for code that looks into it.
        each: Vec<(Rank, Raised)>,
    },
    /// The words after the magic do not make sense: `UsageError`.
    Usage(String),
    /// The user interrupted it.
    Interrupted,
    /// It is done, or under way where it was not to be waited for: this is its result.
    Result {
        /// The task's name in the client API.
        name: String,
        /// The variable to bind it to.
        variable: Option<String>,
        /// Whether it is the value of the magic.
        show: bool,
    },
    /// It is done, and has changed a view.
    Configured(ViewChange),
    /// The engines are at it (`%%px --local`): run the cell here as well, then ask on with [`FromLocal::Resume`].
    RunHere,
}

/// What a namespace has under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Found {
    /// Nothing of the user's.
    Nothing,
    /// A module of this name.
    Module(String),
    /// Anything else.
    Value,
}

/// Local process → kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FromLocal {
    /// The first message: the shell is ready.
    Hello {
        /// Its [`super::BUILD`].
        build: String,
        /// Its process id.
        pid: u32,
        /// Python's version.
        python: String,
        /// The content of a `kernel_info_reply` as ipykernel gives it.
        kernel_info: Json,
    },
    /// The shell cannot start: what is wrong with this Python and what to install. The process ends.
    Unfit {
        /// A sentence or two for the user.
        reason: String,
    },
    /// A message to sign and send as it is.
    Message(Message),
    /// Text that was written.
    Stream {
        /// Where to.
        name: StreamName,
        /// The text.
        text: String,
        /// The header of the request it belongs to, a JSON object; empty when there is none.
        parent: Json,
    },
    /// The shell request is over; its reply and its output were sent before.
    Finished {
        /// The `msg_id` of the request.
        msg_id: String,
        /// The execution count that the next cell will have.
        next_count: u32,
        /// Whether its reply had the status `error` (the requests queued behind it are aborted).
        failed: bool,
    },
    /// Running code called a parallel magic; it waits for [`ToLocal::Answer`].
    Call {
        /// Names the call in its answer.
        call: u64,
        /// The magic's name without percent signs.
        magic: String,
        /// The rest of its line.
        line: String,
        /// The body, for a cell magic.
        cell: Option<String>,
        /// The header of the request that runs, a JSON object.
        parent: Json,
        /// What it shows comes with its answer, to whoever has replaced the cell's output (`%%capture`).
        captured: bool,
    },
    /// Something of the client API.
    Client(Ask),
    /// The cell of a call that was answered with [`Answer::RunHere`] has run here; it waits for another answer.
    Resume {
        /// The call that was answered.
        paused: u64,
        /// The call that now waits.
        call: u64,
    },
    /// A view takes over a set of magics: `view.activate(suffix)`.
    Activate {
        /// The set's suffix; empty for `%px` itself.
        suffix: String,
        /// Its targets, as they can be typed after `--targets`.
        targets: String,
        /// Whether its cells wait for the engines.
        block: bool,
    },
    /// What the notebook's namespace has under a name ([`ToLocal::Seek`]).
    Sought {
        /// The name.
        name: String,
        /// What it is.
        found: Found,
    },
    /// The code that called waits no more, because it was interrupted: end what it started.
    Withdraw {
        /// The call.
        call: u64,
    },
}
