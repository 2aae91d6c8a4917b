//! The cluster core: which engines there are, what each of them runs, and what became of those that
//! died. No Jupyter in it and no I/O: events and the time come in, effects and notices go out, so
//! that a notebook's kernel and a headless set of engines can hold the same thing.
//!
//! ```text
//!        launch            every rank said hello            stop, restart
//!  Off ─────────► Launching ───────────────────► Up ────────────────────► Stopping ─► Off | Launching
//!                     └────► Failed(reason) ◄─────┘ the launcher ended by itself
//! ```
//!
//! **Invariant**: a task ends exactly once, by [`Notice::Over`], whatever happens to its engines; and what
//! comes from an earlier set of engines changes nothing.

mod account;
mod engine;
mod flight;
mod launch;
mod reach;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use fabric::message::launcher::{FromLauncher, ToLauncher};
use fabric::message::lifeline::{FromSupervisor, FromWorker, Hello, Question, Role, ToSupervisor, ToWorker};
use fabric::message::report::Event as Report;
use fabric::message::task::{FromGateway, TaskId, ToGateway};
use fabric::message::{Json, Rank};

pub(crate) use engine::describe;
pub use engine::{Engine, State, listed, named};
pub(crate) use flight::AFTER_A_DEATH;
pub use flight::Flight;
pub use launch::{Phase, Terms};

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
        /// The question's number, from [`Cluster::ask`].
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
    /// To be taken note of by the session.
    pub notices: Vec<Notice>,
}

/// The engines and their tasks.
#[derive(Debug, Default)]
pub struct Cluster {
    phase: Phase,
    set: SetId,
    caution: Option<String>,
    engines: BTreeMap<Rank, Engine>,
    supervisors: BTreeMap<u32, LinkId>,
    gateway: Option<LinkId>,
    flights: BTreeMap<TaskId, Flight>,
    /// Those of them that are to end soon.
    hurried: BTreeSet<TaskId>,
    last_task: TaskId,
    account: account::Account,
    last_question: u64,
}

impl Cluster {
    /// The phase the set of engines is in.
    #[must_use]
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// What a person should know of the engines that are up.
    #[must_use]
    pub fn caution(&self) -> Option<&str> {
        self.caution.as_deref()
    }

    /// Which launch is the current one.
    #[must_use]
    pub fn set(&self) -> SetId {
        self.set
    }

    /// Every engine of the current set, dead ones too, in the order of ranks.
    pub fn engines(&self) -> impl Iterator<Item = &Engine> {
        self.engines.values()
    }

    /// Whether an engine's connection has closed and it is not known yet how it ended.
    #[must_use]
    pub fn is_uncertain(&self) -> bool {
        self.engines.values().any(|engine| matches!(engine.state, State::Vanished { .. }))
    }

    /// The task an engine runs.
    #[must_use]
    pub fn running(&self, rank: Rank) -> Option<&Flight> {
        self.flights.get(self.engines.get(&rank)?.tasks.front()?)
    }

    /// Takes one event of the set numbered `set`.
    pub fn on(&mut self, set: SetId, event: Event, now: Instant, out: &mut Output) {
        if set != self.set {
            return;
        }
        match event {
            Event::Hello { link, hello } => self.hello(link, hello, out),
            Event::Worker { link, said } => self.worker(link, said, out),
            Event::Supervisor(FromSupervisor::Exited { worker, ending, last_words, line }) => {
                self.exited(worker, ending, &last_words, line, now, out);
            }
            Event::Gateway(FromGateway::Reports { rank, reports }) => {
                for report in reports.into_owned() {
                    self.report(rank, report, out);
                }
            }
            Event::Closed { link } => {
                self.closed(link, now, out);
                self.ask_for_account(out);
            }
            Event::Adopted { holder, descriptors } => {
                let engine = self.engines.values().find(|engine| engine.pid == holder);
                let release =
                    |engine: &Engine| Effect::Worker(engine.link, ToWorker::Release { descriptors });
                out.effects.extend(engine.map(release));
            }
            Event::Launcher(said) => self.launcher(said, now, out),
            Event::LauncherGone => {
                self.launcher_gone("the process that started the engines is gone", now, out)
            }
            Event::Logs(text) => self.told_logs(&text, now, out),
            Event::LaunchFailed { reason } => self.fail(reason, out),
        }
    }

    fn hello(&mut self, link: LinkId, hello: Hello, out: &mut Output) {
        if hello.build != fabric::message::BUILD {
            let reason = format!(
                "the engines are of build {}, the kernel of build {}: install both from one build",
                hello.build,
                fabric::message::BUILD
            );
            return self.fail(reason, out);
        }
        match hello.role {
            Role::Supervisor { worker } => drop(self.supervisors.insert(worker, link)),
            Role::Gateway => self.gateway = Some(link),
            Role::Worker(said) => drop(self.engines.insert(said.rank, Engine::new(link, hello.pid, said))),
        }
        self.check_up(out);
    }

    fn worker(&mut self, link: LinkId, said: FromWorker, out: &mut Output) {
        let Some(engine) = self.engines.values_mut().find(|engine| engine.link == link) else { return };
        let rank = engine.rank();
        match said {
            FromWorker::Status(status) => {
                if status.running.is_none() {
                    engine.tasks.retain(|task| self.flights.contains_key(task));
                }
                self.give_account(rank, &status, out);
                let Some(engine) = self.engines.get_mut(&rank) else { return };
                engine.status = Some(status);
                out.notices.push(Notice::Status(rank));
            }
            FromWorker::Report(report) => self.report(rank, report, out),
            FromWorker::Answer { question, content } => {
                out.notices.push(Notice::Answered { question, content });
            }
            FromWorker::Cancelled { tasks, begun } => self.cancelled(rank, tasks, begun, out),
            FromWorker::Stack { threads, mpi } => out.notices.push(Notice::Stack { rank, threads, mpi }),
        }
    }

    /// Asks an engine about what is being typed, if it lives: the question's number.
    pub fn ask(&mut self, rank: Rank, about: Question, out: &mut Output) -> Option<u64> {
        let engine = self.engines.get(&rank).filter(|engine| engine.lives())?;
        self.last_question += 1;
        let question = self.last_question;
        out.effects.push(Effect::Worker(engine.link, ToWorker::Ask { question, about }));
        Some(question)
    }

    /// Asks every living engine how it is; each answer is a [`Notice::Status`].
    pub fn ask_status(&mut self, out: &mut Output) {
        for engine in self.engines.values_mut().filter(|engine| engine.lives()) {
            engine.status = None;
            out.effects.push(Effect::Worker(engine.link, ToWorker::Status));
        }
    }

    /// When [`Cluster::tick`] is wanted next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let hurried = self.hurried.iter().filter_map(|task| self.flights.get(task));
        let flights = hurried.filter_map(Flight::deadline);
        let vanished = self.engines.values().filter_map(Engine::deadline);
        flights.chain(vanished).chain(self.phase.deadline()).min()
    }

    /// Does what has become due.
    pub fn tick(&mut self, now: Instant, out: &mut Output) {
        self.bury_vanished(now, out);
        self.hurry_flights(now, out);
        self.check_launch_deadline(now, out);
    }
}
