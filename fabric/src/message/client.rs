//! The conversation between whoever uses the client API and the cluster core that owns the engines.
//!
//! A client is the notebook's own Python (its messages travel inside [`super::local`]) or any other process of
//! the same user (on a socket of its own, after a [`ClientHello`]): a script, or a kernel that uses these engines.
//!
//! **Invariant**: what is told of one task on one rank keeps its order, and [`Told::Over`] or
//! [`Told::Refused`] is the last word on a task; but what threads and children of a cell ([`Caller::Cell`]) still
//! print is told to its kernel after that.

use serde::{Deserialize, Serialize};

use super::lifeline::{Question, WorkerHello};
use super::report::{Event, Raised};
use super::task::Work;
use super::{Json, Rank};

/// The first message of a client that has a socket of its own; the core answers with the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientHello {
    /// The peer's [`super::BUILD`].
    pub build: String,
    /// Its process id.
    pub pid: u32,
}

/// Client → core.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Ask {
    /// Be told of the engines from now on, at once and at every change. Starts them if they are off.
    Open,
    /// Have work done.
    Submit {
        /// In order.
        submissions: Vec<Submission>,
    },
    /// Tell what is known of these tasks, whoever submitted them, and go on telling; the answer comes first and
    /// holds their records.
    Recall {
        /// Names the question in its answer.
        ask: u64,
        /// The tasks' names.
        names: Vec<String>,
    },
    /// Take back what has not begun; answered when that is decided.
    Abort {
        /// Names the question in its answer.
        ask: u64,
        /// The tasks' names, or the ids of parts of them: `name@rank`.
        names: Vec<String>,
    },
    /// Raise `KeyboardInterrupt` where these tasks run, and take back where they have not begun.
    Interrupt {
        /// The tasks' names.
        names: Vec<String>,
    },
    /// Send a signal to engines' processes.
    Signal {
        /// Names the question in its answer.
        ask: u64,
        /// Which engines.
        targets: Vec<Rank>,
        /// The signal's number.
        signal: i32,
    },
    /// Start, stop or restart the engines; answered when they are up or ended, or when that failed.
    Engines {
        /// Names the question in its answer.
        ask: u64,
        /// What to do.
        action: EnginesAction,
        /// How many there are to be; `None`: as many as there are, or as usual.
        count: Option<u32>,
    },
    /// What code on an engine asked ([`Event::Ask`]) has been answered.
    Input {
        /// The engine.
        rank: Rank,
        /// The engine's number for the question.
        question: u64,
        /// What was typed, or why nobody can be asked.
        answer: Result<String, String>,
    },
    /// Say something about what is being typed. The answer is the content of Jupyter's reply; null from an engine
    /// that is busy or has nothing to say.
    Enquire {
        /// Names the question in its answer.
        ask: u64,
        /// The engine.
        rank: Rank,
        /// What is asked.
        about: Question,
    },
    /// Say how things are.
    Query {
        /// Names the question in its answer.
        ask: u64,
        /// What is asked for.
        query: Query,
    },
    /// Less of some tasks is needed.
    Forget {
        /// The tasks' names, or ids of parts where their records are to go.
        names: Vec<String>,
        /// What may go.
        what: Forgotten,
    },
}

/// What need not be remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Forgotten {
    /// Who says so holds these tasks no more, and has never looked at their values.
    Watch,
    /// Who says so has had their values and holds them no more: their shared memory may go, unless others hold them.
    Values,
    /// Everything, also that they were.
    Records,
}

/// What can be done to all engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EnginesAction {
    /// Have them up, this many if a count is given.
    Start,
    /// End them.
    Stop,
    /// End them and start new ones.
    Restart,
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    /// What every engine has done, runs and has before it.
    Queues,
    /// The records of all tasks that are remembered.
    Records,
    /// How every engine is ([`super::lifeline::Status`]), and what it runs, whoever gave it that.
    Status,
    /// The Python stacks of engines, and the MPI functions they are in.
    Stacks {
        /// Which engines.
        targets: Vec<Rank>,
    },
}

/// Work and where it is to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Submission {
    /// The task's name, which no other task ever has.
    pub name: String,
    /// What it is, in a few words for `%engines`.
    pub label: String,
    /// Where.
    pub placement: Placement,
    /// What.
    pub work: Work,
    /// On whose behalf.
    pub caller: Caller,
}

/// On whose behalf work is done: whether there is a person who can be asked, and who shows what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Caller {
    /// A program: nobody can be asked for input.
    Program,
    /// Code in a notebook's Python: who submits it answers what it asks ([`Event::Ask`], [`Ask::Input`]).
    Notebook,
    /// A notebook's parallel cell: besides, who submits it shows what it says, and holds none of its values.
    Cell,
}

/// Where work is to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Placement {
    /// Once on each of these engines.
    Each {
        /// The engines.
        targets: Vec<Rank>,
    },
    /// Once, on whichever engine is free first.
    Any {
        /// Only on these; `None`: on any.
        targets: Option<Vec<Rank>>,
        /// How often to try again elsewhere after a failure.
        retries: u32,
        /// Give up when it has not begun after so many seconds.
        timeout: Option<f64>,
        /// What must have ended before.
        after: Option<Dependency>,
        /// What must have ended before, on the same engine.
        follow: Option<Dependency>,
    },
}

/// Tasks that must have ended, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// Their names, or the ids of parts of them: `name@rank`.
    pub names: Vec<String>,
    /// All of them, or any.
    pub all: bool,
    /// A success counts.
    pub success: bool,
    /// A failure counts.
    pub failure: bool,
}

/// Core → client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Told {
    /// The engines as they are now.
    Engines {
        /// Counts the changes, so that who is told on two connections knows what is news.
        change: u64,
        /// `off`, `launching`, `up`, `stopping` or `failed`.
        phase: String,
        /// Why they failed; empty otherwise.
        reason: String,
        /// What a person should know of them.
        caution: Option<String>,
        /// All of the present set, the dead too.
        engines: Vec<EngineInfo>,
    },
    /// Something happened to a task.
    Report {
        /// The task.
        name: String,
        /// Where.
        rank: Rank,
        /// What.
        event: Event,
    },
    /// This engine will say no more of it.
    Lost {
        /// The task.
        name: String,
        /// The engine.
        rank: Rank,
        /// A sentence that says why.
        why: String,
        /// The engine lives.
        lives: bool,
    },
    /// It never ran and never will. The last word.
    Refused {
        /// The task.
        name: String,
        /// The class of the error.
        ename: String,
        /// A sentence that says why.
        why: String,
    },
    /// Every engine is done with it, or lost. The last word.
    Over {
        /// The task.
        name: String,
    },
    /// The answer to a question.
    Answer {
        /// The question.
        ask: u64,
        /// A JSON text, or what went wrong.
        answer: Result<Json, Raised>,
    },
}

/// One engine, for clients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineInfo {
    /// Its process.
    pub pid: u32,
    /// What it said when it came up: its rank, which is its id, its host, its Python.
    pub hello: WorkerHello,
    /// How it died: "was killed by signal 9 (SIGKILL)"; `None` while it lives.
    pub died: Option<String>,
}
