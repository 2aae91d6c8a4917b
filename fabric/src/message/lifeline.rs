//! The lifelines: one Unix socket for each rank's supervisor and one for each worker, from the
//! moment they start until they end.
//!
//! **Invariant**: control never travels over MPI, which user code can jam; and either end that sees
//! the other's end of file ends what it is responsible for.

use serde::{Deserialize, Serialize};

use super::report::Report;
use super::task::{Task, TaskId};
use super::{Json, Rank};

/// The first message on any connection to the kernel's engine socket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// The peer's [`super::BUILD`].
    pub build: String,
    /// Its process id.
    pub pid: u32,
    /// Which end of which conversation it is.
    pub role: Role,
}

/// What a connection to the kernel's engine socket is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Role {
    /// A rank's supervisor: [`FromSupervisor`] and [`ToSupervisor`] follow.
    Supervisor {
        /// The process that embeds Python.
        worker: u32,
    },
    /// A rank's worker, MPI initialised and Python up: [`FromWorker`] and [`ToWorker`] follow.
    Worker(WorkerHello),
    /// Rank 0's gateway: [`super::task::FromGateway`] and [`super::task::ToGateway`] follow.
    Gateway,
}

/// What a worker knows about itself once it can take tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerHello {
    /// Its rank in `MPI_COMM_WORLD`.
    pub rank: Rank,
    /// The size of `MPI_COMM_WORLD`. Not the size that was asked for when `mpiexec` belongs to a
    /// different MPI: that starts N worlds of one rank.
    pub size: u32,
    /// The host's name.
    pub host: String,
    /// Python's version, `3.11.7`.
    pub python: String,
    /// Python's executable (`sys.executable`).
    pub executable: String,
    /// `MPI_Get_library_version`, first line.
    pub mpi: String,
    /// How Python was entered.
    pub door: Door,
}

/// How a process enters Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Door {
    /// The executable opened libpython.
    Embedded,
    /// The user's `python` loaded the engine library as an extension module.
    Extension,
}

/// Worker → kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FromWorker {
    /// The answer to [`ToWorker::Status`].
    Status(Status),
    /// The answer to [`ToWorker::Stack`].
    Stack {
        /// Every thread's Python stack, as faulthandler prints it.
        threads: String,
        /// The MPI function that the main thread is in.
        mpi: Option<String>,
    },
    /// The answer to [`ToWorker::Ask`].
    Answer {
        /// The question.
        question: u64,
        /// The content of Jupyter's reply; `None`: a task runs, or there is nothing to say.
        content: Option<Json>,
    },
    /// A report that could not take the way over MPI (rescue mode).
    Report(Report),
    /// Those of a [`ToWorker::Cancel`] that had not begun, and now never will.
    Cancelled {
        /// The tasks.
        tasks: Vec<TaskId>,
        /// The others: they have begun, and may have ended.
        begun: Vec<TaskId>,
    },
}

/// Kernel → worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToWorker {
    /// Raise `KeyboardInterrupt` in the task, if it is the one that runs.
    Interrupt {
        /// The task that is meant.
        task: TaskId,
    },
    /// Say how you are.
    Status,
    /// Show the Python stack of every thread.
    Stack,
    /// Run a task that cannot be fanned out over MPI (rescue mode).
    Task(Task),
    /// These ranks have died, or have left MPI for good: send them nothing over MPI and wait for none of them.
    Lost {
        /// Those ranks.
        ranks: Vec<Rank>,
    },
    /// Take back what has not begun of these.
    Cancel {
        /// The tasks.
        tasks: Vec<TaskId>,
    },
    /// The kernel has opened these memory files: close them.
    Release {
        /// Their descriptors in the worker.
        descriptors: Vec<u32>,
    },
    /// Say something about what is being typed, unless a task runs or waits.
    Ask {
        /// Names the question in its answer.
        question: u64,
        /// What is asked.
        about: Question,
    },
    /// The answer to an [`super::report::Event::Ask`].
    Input {
        /// The engine's number for the question.
        question: u64,
        /// What was typed, or why nobody can be asked.
        answer: Result<String, String>,
    },
    /// Finalise MPI and end.
    Quit,
}

/// A question about code that is being typed, to be answered from the engine's namespace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Question {
    /// What can follow?
    Complete {
        /// The code.
        code: String,
        /// Where the cursor stands, in characters.
        cursor: u64,
    },
    /// What is that?
    Inspect {
        /// The code.
        code: String,
        /// Where the cursor stands, in characters.
        cursor: u64,
        /// 0, or 1 for the source too.
        detail: u64,
    },
}

/// How a worker is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The task that runs, if any.
    pub running: Option<TaskId>,
    /// Resident memory, in bytes.
    pub resident: u64,
    /// Messages sent over MPI by this rank's comm thread since it started.
    pub mpi_sent: u64,
    /// Messages received over MPI by this rank's comm thread since it started.
    pub mpi_received: u64,
    /// The last task that came over MPI.
    pub arrived: TaskId,
    /// The last task that has ended.
    pub ended: TaskId,
}

/// Supervisor → kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FromSupervisor {
    /// The worker has ended.
    Exited {
        /// Its process id.
        worker: u32,
        /// Its exact wait status.
        ending: Ending,
        /// The tail of what it wrote before output was captured and of what faulthandler wrote
        /// when it crashed, at most 4 KiB.
        last_words: String,
        /// The line of its cell that ran, counted from 1; 0 when none did.
        line: u32,
    },
}

/// Kernel → supervisor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToSupervisor {
    /// End the worker at once if it lives, then end.
    End,
    /// Send a signal to the worker.
    Signal {
        /// The signal's number.
        signal: i32,
    },
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}
