//! Those who use the client API, and what they asked for: the part of the cluster core that knows tasks by
//! name. No Jupyter in it, no I/O and no clock: what is asked and what the cluster notices come in, what is told
//! goes out.
//!
//! ```text
//!  Ask ─► Clients ─► Cluster::submit ─► engines
//!  Told ◄─ Clients ◄─ Notice ◄────────────┘
//! ```
//!
//! | file | what it is |
//! | --- | --- |
//! | `submit` | tasks on their way to engines |
//! | `balance`, `balanced` | which engine gets a task that any may do, and what becomes of each attempt |
//! | `depend`, `dependents` | tasks that wait for others |
//! | `flying` | tasks that engines have |
//! | `asked` | what code on engines asks a person at another kernel's notebook |
//! | `results` | what is remembered of tasks |
//! | `telling` | who is told |
//! | `stop` | taking back, interrupting |
//! | `questions` | questions whose answers take time |
//! | `describe` | engines and queues as clients see them |
//!
//! **Invariant**: every submission ends with exactly one `Told::Over` or `Told::Refused`, which is the last word
//! on it; and a memory file that came with a submission is let go when that has been said.

mod asked;
mod balance;
mod balanced;
mod depend;
mod dependents;
mod describe;
mod files;
mod flying;
mod named;
mod questions;
mod results;
mod stop;
mod submit;
mod telling;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Instant;

use fabric::message::client::{Ask, Forgotten, Query, Submission, Told};
use fabric::message::report::Event;
use fabric::message::task::TaskId;
use serde_json::Value;

use crate::cluster::{self, Cluster, Notice};
pub(crate) use asked::NOBODY;
use balance::{Balance, Ticket};
use files::files_of_event;
use flying::Flying;
use questions::Questions;
use results::Store;

/// Names one client for the life of this process.
pub type ClientId = u64;

/// The notebook's own Python.
pub const LOCAL: ClientId = 0;

/// What is to be done for the clients, in order.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Tell a client something.
    Tell(ClientId, Told),
    /// These memory files, by their descriptors in this process, are not needed any more.
    Close(Vec<u32>),
}

/// What the clients' part acts on.
#[derive(Debug)]
pub struct Core<'a> {
    /// The engines.
    pub cluster: &'a mut Cluster,
    /// What comes of acting on them.
    pub out: &'a mut cluster::Output,
    /// The time.
    pub now: Instant,
}

/// See the module.
#[derive(Debug)]
pub struct Clients {
    /// A moment, and what the clock said then, in seconds since the epoch.
    clock: Option<(Instant, f64)>,
    /// Makes names of parallel cells that no other kernel uses.
    kernel: String,
    /// Who wants to know of the engines.
    open: BTreeSet<ClientId>,
    /// What waits for engines to be there.
    waiting: VecDeque<(ClientId, Submission)>,
    flying: HashMap<TaskId, Flying>,
    store: Store,
    questions: Questions,
    asked: asked::Asked,
    balance: Balance,
    /// Tasks that depend on the task of this name.
    dependents: HashMap<String, Vec<Ticket>>,
    /// Tasks that have ended, and may be depended upon.
    endings: VecDeque<String>,
    /// How often the engines have changed.
    changes: u64,
    /// Something has happened after which engines may be given more, or less.
    unbalanced: bool,
    effects: Vec<Effect>,
}

impl Clients {
    /// `kernel` names this kernel among all.
    #[must_use]
    pub fn new(kernel: &str) -> Self {
        Self {
            clock: None,
            kernel: kernel.to_owned(),
            open: BTreeSet::new(),
            waiting: VecDeque::new(),
            flying: HashMap::new(),
            store: Store::default(),
            questions: Questions::default(),
            asked: asked::Asked::default(),
            balance: Balance::default(),
            dependents: HashMap::new(),
            endings: VecDeque::new(),
            changes: 0,
            unbalanced: false,
            effects: Vec::new(),
        }
    }

    /// What the clock says now, in seconds since the epoch.
    pub fn set_clock(&mut self, now: Instant, epoch: f64) {
        self.clock = Some((now, epoch));
    }

    /// What is to be done for them by now.
    pub fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// A client asks for something.
    pub fn ask(&mut self, client: ClientId, ask: Ask, core: &mut Core<'_>) {
        match ask {
            Ask::Open => {
                self.open.insert(client);
                start_if_off(core);
                self.tell(client, describe::engines(core.cluster, self.changes));
            }
            Ask::Submit { submissions } => {
                self.accept(client, submissions, core.now);
                start_if_off(core);
                self.submit_waiting(core);
            }
            Ask::Recall { ask, names } => self.recall(client, ask, &names, core.cluster),
            Ask::Abort { ask, names } => self.abort(client, ask, &names, core),
            Ask::Interrupt { names } => self.interrupt(&names, core),
            Ask::Signal { ask, targets, signal } => {
                let answer = core.cluster.signal(&targets, signal, core.out).map(|()| Value::Null);
                self.answer(client, ask, answer);
            }
            Ask::Engines { ask, action, count } => self.engines(client, ask, action, count, core),
            Ask::Input { rank, question, answer } => self.input(rank, question, answer, core),
            Ask::Enquire { ask, rank, about } => self.enquire(client, ask, rank, about, core),
            Ask::Query { ask, query: Query::Queues } => {
                let queues = self.queues(core.cluster);
                self.answer(client, ask, Ok(queues));
            }
            Ask::Query { ask, query: Query::Records } => {
                let records = self.records(None, core.cluster);
                self.answer(client, ask, Ok(records));
            }
            Ask::Query { ask, query: Query::Status } => self.statuses(client, ask, core),
            Ask::Query { ask, query: Query::Stacks { targets } } => {
                self.stacks(client, ask, &targets, core);
            }
            Ask::Forget { names, what } => {
                let files = match what {
                    Forgotten::Records => self.store.purge(&names),
                    Forgotten::Watch | Forgotten::Values => {
                        self.store.let_go(client, &names, what == Forgotten::Values)
                    }
                };
                self.close(files);
            }
        }
        self.balance(core);
    }

    /// A client has gone: nothing is told to it any more. What it submitted goes on.
    pub fn leave(&mut self, client: ClientId, core: &mut Core<'_>) {
        self.open.remove(&client);
        self.questions.leave(client);
        self.answer_in_place_of(client, core);
        let files = self.store.leave(client);
        self.close(files);
    }

    /// What is known of a task by now, and whether it is all; `None` when nothing is.
    #[must_use]
    pub fn known(&self, name: &str) -> Option<(bool, Vec<Told>)> {
        Some((self.store.get(name)?.over, self.store.replay(name)))
    }

    /// Whether a task has not ended.
    #[must_use]
    pub fn is_pending(&self, name: &str) -> bool {
        self.store.get(name).is_some_and(|record| !record.over)
    }

    /// Takes note of what the cluster says. Gives it back if it concerns the session too.
    pub fn notice(&mut self, notice: Notice, core: &mut Core<'_>) -> Option<Notice> {
        let rest = self.note(notice, core);
        self.balance(core);
        rest
    }

    fn note(&mut self, notice: Notice, core: &mut Core<'_>) -> Option<Notice> {
        if let Notice::Report { task, rank, event: Event::Done { .. } } | Notice::Lost { task, rank, .. } =
            &notice
        {
            self.forget_questions(*task, *rank);
        }
        match &notice {
            Notice::Phase => {
                self.store.engines_are(core.cluster.set());
                self.changes += 1;
                let engines = describe::engines(core.cluster, self.changes);
                for client in self.open.clone() {
                    self.tell(client, engines.clone());
                }
                self.answer_engines(core.cluster);
                self.submit_waiting(core);
                self.unbalanced = true;
                Some(notice)
            }
            Notice::Report { task, .. } | Notice::Lost { task, .. } | Notice::Over { task } => {
                let task = *task;
                match self.flying.get(&task) {
                    None => {
                        // A value of a task that was given up: nobody waits for it.
                        if let Notice::Report { event, .. } = &notice {
                            self.close(files_of_event(event));
                        }
                        if self.pass_on_late(&notice) { None } else { Some(notice) }
                    }
                    Some(flying) if flying.cell => {
                        self.remember(&notice);
                        Some(notice)
                    }
                    Some(_) => {
                        match self.balance.ticket(task) {
                            Some(ticket) => self.attempt(task, ticket, notice, core.now),
                            None => self.happened(task, notice),
                        }
                        None
                    }
                }
            }
            Notice::Kept { rank, tasks } => {
                self.balance.kept(*rank, tasks);
                self.unbalanced = true;
                for task in tasks {
                    self.decided(*task, *rank);
                }
                None
            }
            Notice::Stack { rank, threads, mpi } => {
                self.stack(*rank, threads, mpi.as_deref());
                Some(notice)
            }
            Notice::Status(rank) => {
                self.status(*rank, core);
                Some(notice)
            }
            Notice::Answered { question, content } => {
                if self.enquired(*question, content.as_ref()) {
                    None
                } else {
                    Some(notice)
                }
            }
        }
    }

    /// When [`Clients::tick`] is wanted next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.questions.deadline().into_iter().chain(self.balance.deadline()).min()
    }

    /// Does what has become due.
    pub fn tick(&mut self, core: &mut Core<'_>) {
        self.answer_late(core.now);
        if self.balance.deadline().is_some_and(|deadline| deadline <= core.now) {
            self.end_late(core.now);
            self.balance.look(core.now);
            self.balance(core);
        }
    }

    fn time(&self, now: Instant) -> Option<f64> {
        self.clock.map(|(then, epoch)| epoch + now.saturating_duration_since(then).as_secs_f64())
    }
}

/// Whoever wants engines gets them.
fn start_if_off(core: &mut Core<'_>) {
    if core.cluster.starts_on_demand() {
        core.cluster.start(None, core.now, core.out);
    }
}
