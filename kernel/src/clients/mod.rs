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
//! | `depend` | tasks that wait for others |
//! | `results` | what is remembered of tasks |
//! | `stop` | taking back, interrupting |
//! | `questions` | questions whose answers take time |
//! | `describe` | engines and queues as clients see them |
//!
//! **Invariant**: every submission ends with exactly one `Told::Over` or `Told::Refused`, which is the last word
//! on it; and a memory file that came with a submission is let go when that has been said.

mod balance;
mod balanced;
mod depend;
mod describe;
mod questions;
mod results;
mod stop;
mod submit;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Instant;

use fabric::message::Rank;
use fabric::message::client::{Ask, Query, Submission, Told};
use fabric::message::payload::Payload;
use fabric::message::report::{Event, Outcome, Raised};
use fabric::message::task::{TaskId, Work};
use serde_json::Value;

use crate::cluster::{self, Cluster, Notice, Phase};
use balance::{Balance, Ticket};
use questions::Questions;
use results::{New, Store};

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

/// A task that engines have.
#[derive(Debug)]
struct Flying {
    name: String,
    /// The memory files of its submission.
    files: Vec<u32>,
    /// The session shows it; here it is only remembered.
    cell: bool,
    /// Engines whose value could not be had, and why.
    spoiled: HashMap<Rank, String>,
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
    balance: Balance,
    /// Tasks that depend on the task of this name.
    dependents: HashMap<String, Vec<Ticket>>,
    /// Tasks that have ended, and may be depended upon.
    endings: VecDeque<String>,
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
            kernel: kernel.chars().filter(char::is_ascii_alphanumeric).take(8).collect(),
            open: BTreeSet::new(),
            waiting: VecDeque::new(),
            flying: HashMap::new(),
            store: Store::default(),
            questions: Questions::default(),
            balance: Balance::default(),
            dependents: HashMap::new(),
            endings: VecDeque::new(),
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
                self.tell(client, describe::engines(core.cluster));
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
            Ask::Query { ask, query: Query::Queues } => {
                let queues = self.queues(core.cluster);
                self.answer(client, ask, Ok(queues));
            }
            Ask::Query { ask, query: Query::Records } => {
                let records = self.records(None, core.cluster);
                self.answer(client, ask, Ok(records));
            }
            Ask::Query { ask, query: Query::Stacks { targets } } => {
                self.stacks(client, ask, &targets, core);
            }
            Ask::Forget { names, purge } => {
                let files = self.store.forget(&names, purge);
                self.close(files);
            }
        }
        self.balance(core);
    }

    /// A client has gone: nothing is told to it any more. What it submitted goes on.
    pub fn leave(&mut self, client: ClientId) {
        self.open.remove(&client);
        self.questions.leave(client);
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

    /// A parallel cell runs as `task`: the name by which clients know it.
    pub fn cell(&mut self, task: TaskId, code: &str, targets: &[Rank], now: Instant) -> String {
        let name = format!("px_{task}_{}", self.kernel);
        let work = Work::Execute { code: code.to_owned(), store_history: true, measure: false };
        let (submitted, targets) = (self.time(now), Some(targets.to_vec()));
        self.store.open(New { name: &name, label: "%px", work: &work, client: None, targets, submitted });
        let flying = Flying { name: name.clone(), files: Vec::new(), cell: true, spoiled: HashMap::new() };
        self.flying.insert(task, flying);
        name
    }

    /// Takes note of what the cluster says. Gives it back if it concerns the session too.
    pub fn notice(&mut self, notice: Notice, core: &mut Core<'_>) -> Option<Notice> {
        let rest = self.note(notice, core);
        self.balance(core);
        rest
    }

    fn note(&mut self, notice: Notice, core: &mut Core<'_>) -> Option<Notice> {
        match &notice {
            Notice::Phase => {
                let engines = describe::engines(core.cluster);
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
                    None => Some(notice),
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
                for task in tasks {
                    self.decided(*task, *rank);
                }
                None
            }
            Notice::Stack { rank, text } => {
                self.stack(*rank, text);
                Some(notice)
            }
            Notice::Status(_) | Notice::Answered { .. } => Some(notice),
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
            self.balance(core);
        }
    }

    /// Something happened to a task of a client.
    fn happened(&mut self, task: TaskId, notice: Notice) {
        let Some(flying) = self.flying.get_mut(&task) else { return };
        let name = flying.name.clone();
        let told = match notice {
            Notice::Report { rank, event, .. } => {
                let Some(event) = flying.unspoiled(rank, event) else { return };
                Told::Report { name, rank, event }
            }
            Notice::Lost { rank, why, lives, .. } => Told::Lost { name, rank, why, lives },
            Notice::Over { .. } => Told::Over { name },
            _ => return,
        };
        self.publish(task, told);
    }

    /// A cell's task: it is told to those who recalled it, and shown by the session.
    fn remember(&mut self, notice: &Notice) {
        let (task, told) = match notice {
            Notice::Report { task, rank, event } => {
                let Some(name) = self.name_of(*task) else { return };
                (*task, Told::Report { name, rank: *rank, event: event.clone() })
            }
            Notice::Lost { task, rank, why, lives } => {
                let Some(name) = self.name_of(*task) else { return };
                (*task, Told::Lost { name, rank: *rank, why: why.clone(), lives: *lives })
            }
            Notice::Over { task } => {
                let Some(name) = self.name_of(*task) else { return };
                (*task, Told::Over { name })
            }
            _ => return,
        };
        self.publish(task, told);
    }

    /// Tells whoever watches a task, and remembers it.
    fn publish(&mut self, task: TaskId, told: Told) {
        match &told {
            Told::Report { rank, event: Event::Done { .. }, .. } | Told::Lost { rank, .. } => {
                self.decided(task, *rank);
            }
            Told::Over { .. } => {
                if let Some(flying) = self.flying.remove(&task) {
                    self.close(flying.files);
                }
            }
            _ => {}
        }
        self.spread(told);
    }

    /// Tells whoever watches the task that is spoken of, and remembers it.
    fn spread(&mut self, told: Told) {
        let name = match &told {
            Told::Report { name, .. }
            | Told::Lost { name, .. }
            | Told::Refused { name, .. }
            | Told::Over { name } => name,
            Told::Engines { .. } | Told::Answer { .. } => return,
        };
        if matches!(told, Told::Over { .. } | Told::Refused { .. }) {
            self.endings.push_back(name.clone());
            self.unbalanced = true;
        }
        let watchers = self.store.get(name).map(|record| record.watchers.clone()).unwrap_or_default();
        let files = self.store.note(name, &told);
        for client in watchers {
            self.tell(client, told.clone());
        }
        self.close(files);
    }

    fn recall(&mut self, client: ClientId, ask: u64, names: &[String], cluster: &Cluster) {
        let records = self.records(Some(names), cluster);
        self.answer(client, ask, Ok(records));
        for name in names {
            for told in self.store.replay(name) {
                self.tell(client, told);
            }
            self.store.watch(name, client);
        }
    }

    fn answer(&mut self, client: ClientId, ask: u64, answer: Result<Value, String>) {
        let answer = match answer {
            Ok(value) => Ok(value.to_string().into_bytes().into()),
            Err(evalue) => Err(Raised { ename: "EngineError".to_owned(), evalue, traceback: Vec::new() }),
        };
        self.tell(client, Told::Answer { ask, answer });
    }

    fn tell(&mut self, client: ClientId, told: Told) {
        self.effects.push(Effect::Tell(client, told));
    }

    fn close(&mut self, files: Vec<u32>) {
        if !files.is_empty() {
            self.effects.push(Effect::Close(files));
        }
    }

    fn name_of(&self, task: TaskId) -> Option<String> {
        self.flying.get(&task).map(|flying| flying.name.clone())
    }

    fn time(&self, now: Instant) -> Option<f64> {
        self.clock.map(|(then, epoch)| epoch + now.saturating_duration_since(then).as_secs_f64())
    }
}

impl Flying {
    /// A value that cannot be had makes the task's end an error.
    fn unspoiled(&mut self, rank: Rank, event: Event) -> Option<Event> {
        match event {
            Event::Value { payload } | Event::Data { payload } if payload.lost().is_some() => {
                self.spoiled.insert(rank, payload.lost().unwrap_or_default().to_owned());
                None
            }
            Event::Done { outcome: Outcome::Ok, count, started, completed } => {
                let outcome = match self.spoiled.remove(&rank) {
                    None => Outcome::Ok,
                    Some(evalue) => Outcome::Error(Raised {
                        ename: "EngineError".to_owned(),
                        traceback: vec![format!("EngineError: {evalue}")],
                        evalue,
                    }),
                };
                Some(Event::Done { outcome, count, started, completed })
            }
            event => Some(event),
        }
    }
}

/// Whoever wants engines gets them.
fn start_if_off(core: &mut Core<'_>) {
    if matches!(core.cluster.phase(), Phase::Off) {
        core.cluster.start(None, core.now, core.out);
    }
}

/// The memory files of a piece of work, by their descriptors in this process.
fn files_of_work(work: &Work) -> Vec<u32> {
    match work {
        Work::Apply { payload } => files_of(payload),
        Work::Execute { .. } | Work::Comm { .. } | Work::Look { .. } => Vec::new(),
    }
}

/// The memory files of what an engine reported.
fn files_of_event(event: &Event) -> Vec<u32> {
    match event {
        Event::Value { payload } | Event::Data { payload } => files_of(payload),
        _ => Vec::new(),
    }
}

fn files_of(payload: &Payload) -> Vec<u32> {
    let files: BTreeSet<u32> = payload.shared().map(|shared| shared.descriptor).collect();
    files.into_iter().collect()
}
