//! What goes into the cluster and what comes out: the words that it has with whoever holds it.
//!
//! **Invariant**: nothing in here does anything. An [`Event`] has happened, an [`Effect`] is to be done, a [`Notice`]
//! is to be known.

use std::time::Instant;

use fabric::message::launcher::{FromLauncher, ToLauncher};
use fabric::message::lifeline::{FromSupervisor, FromWorker, Hello, ToSupervisor, ToWorker};
use fabric::message::report::Event as Report;
use fabric::message::task::{FromGateway, TaskId, ToGateway};
use fabric::message::{Json, Rank};

use super::attached::ToHub;

/// One launch of engines; the next launch has the next number.
pub type SetId = u64;

/// One connection to the engine socket, numbered in the order of arrival.
pub type LinkId = u64;

/// What can happen to the cluster.
#[derive(Debug)]
pub enum Event {
    /// A connection said who it is.
    Hello {
        /// The connection.
        link: LinkId,
        /// What it said.
        hello: Hello,
    },
    /// A worker said something.
    Worker {
        /// Its connection.
        link: LinkId,
        /// What it said.
        said: FromWorker,
    },
    /// A supervisor said something.
    Supervisor(FromSupervisor),
    /// The gateway said something.
    Gateway(FromGateway<'static>),
    /// A connection has ended.
    Closed {
        /// Which.
        link: LinkId,
    },
    /// The launcher said something.
    Launcher(FromLauncher),
    /// Memory files of an engine have been opened in this process: the engine may close its own.
    Adopted {
        /// The engine's process.
        holder: u32,
        /// Their descriptors there.
        descriptors: Vec<u32>,
    },
    /// What the engines have written that did not come in time, to stand behind a sentence.
    Logs(String),
    /// The launcher's connection has ended.
    LauncherGone,
    /// The launch failed before there was a launcher.
    LaunchFailed {
        /// A sentence for the user.
        reason: String,
    },
}

/// What the cluster wants done.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Prepare and start a set of engines.
    Launch {
        /// Its number.
        set: SetId,
        /// How many; `None`: as many as the settings or the machine say.
        size: Option<u32>,
    },
    /// Say something to the gateway.
    Gateway(LinkId, ToGateway),
    /// Say something to a worker.
    Worker(LinkId, ToWorker),
    /// Say something to a supervisor.
    Supervisor(LinkId, ToSupervisor),
    /// Say something to the launcher of the current set.
    Launcher(ToLauncher),
    /// Read what these engines have written, who did not come in time: an [`Event::Logs`] says it.
    Logs {
        /// Their set.
        set: SetId,
        /// Which.
        ranks: Vec<Rank>,
    },
    /// The set is over: close its connections.
    Release(SetId),
}

/// What the holder of the cluster has to know.
#[derive(Debug, PartialEq)]
pub enum Notice {
    /// An engine reported.
    Report {
        /// The task.
        task: TaskId,
        /// The engine.
        rank: Rank,
        /// What happened there.
        event: Report,
    },
    /// An engine that had a task to do died, or is given up.
    Lost {
        /// The task.
        task: TaskId,
        /// The engine.
        rank: Rank,
        /// A sentence that names engine, host, process and reason.
        why: String,
        /// It lives and goes on with the task.
        lives: bool,
    },
    /// Every engine of a task is done with it or lost.
    Over {
        /// The task.
        task: TaskId,
    },
    /// The phase changed.
    Phase,
    /// An engine answered a question about what is being typed.
    Answered {
        /// The question's number, from [`Cluster::ask`](super::Cluster::ask).
        question: u64,
        /// The answer; `None` when the engine is busy or has nothing to say.
        content: Option<Json>,
    },
    /// An engine answered a question for its status.
    Status(Rank),
    /// An engine had begun with these tasks when they were to be taken back.
    Kept {
        /// The engine.
        rank: Rank,
        /// The tasks.
        tasks: Vec<TaskId>,
    },
    /// An engine answered a question for its Python stacks.
    Stack {
        /// The engine.
        rank: Rank,
        /// Every thread's stack, as faulthandler prints it.
        threads: String,
        /// The MPI function that the main thread is in.
        mpi: Option<String>,
    },
}

/// What one call produced, in order.
#[derive(Debug, Default)]
pub struct Output {
    /// To be done by the driver.
    pub effects: Vec<Effect>,
    /// To be said to the hub that it is attached to, if it is.
    pub hub: Vec<ToHub>,
    /// To be taken note of by the session.
    pub notices: Vec<Notice>,
}

/// What an engine runs.
#[derive(Debug, Clone, Copy)]
pub struct Running<'a> {
    /// In a few words.
    pub label: &'a str,
    /// When it was fanned out.
    pub since: Instant,
}
