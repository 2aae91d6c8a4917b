//! Those who use the client API, and what they asked for: the part of the cluster core that knows tasks by
//! name. No Jupyter in it and no I/O: what is asked and what the cluster notices come in, what is told goes out.
//!
//! ```text
//!  Ask ─► Clients ─► Cluster::submit ─► engines
//!  Told ◄─ Clients ◄─ Notice ◄────────────┘
//! ```
//!
//! **Invariant**: every submission ends with exactly one `Told::Over` or `Told::Refused`, which is the last word
//! on it; and a memory file that came with a submission is let go when that has been said.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Instant;

use fabric::message::Rank;
use fabric::message::client::{Ask, EngineInfo, Placement, Submission, Told};
use fabric::message::payload::Payload;
use fabric::message::report::{Event, Raised};
use fabric::message::task::{TaskId, Work};

use crate::cluster::{self, Cluster, Engine, Notice, Phase};

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

/// A task that a client submitted.
#[derive(Debug)]
struct Open {
    name: String,
    client: ClientId,
    /// Its memory files.
    files: Vec<u32>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Clients {
    /// Who wants to know of the engines.
    open: BTreeSet<ClientId>,
    /// What waits for engines to be there.
    waiting: VecDeque<(ClientId, Submission)>,
    tasks: HashMap<TaskId, Open>,
    effects: Vec<Effect>,
}

impl Clients {
    /// What is to be done for them by now.
    pub fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// A client asks for something.
    pub fn ask(
        &mut self,
        client: ClientId,
        ask: Ask,
        cluster: &mut Cluster,
        now: Instant,
        out: &mut cluster::Output,
    ) {
        match ask {
            Ask::Open => {
                self.open.insert(client);
                start_if_off(cluster, now, out);
                let engines = engines(cluster);
                self.tell(client, engines);
            }
            Ask::Submit { submissions } => {
                self.waiting.extend(submissions.into_iter().map(|submission| (client, submission)));
                start_if_off(cluster, now, out);
                self.submit_waiting(cluster, now, out);
            }
            Ask::Recall { ask, .. }
            | Ask::Abort { ask, .. }
            | Ask::Signal { ask, .. }
            | Ask::Engines { ask, .. }
            | Ask::Query { ask, .. } => {
                let evalue = "this build does not answer this question".to_owned();
                let raised =
                    Raised { ename: "NotImplementedError".to_owned(), evalue, traceback: Vec::new() };
                self.tell(client, Told::Answer { ask, answer: Err(raised) });
            }
            Ask::Interrupt { names } => {
                let concerned = |(id, open): (&TaskId, &Open)| names.contains(&open.name).then_some(*id);
                let tasks: Vec<TaskId> = self.tasks.iter().filter_map(concerned).collect();
                for task in tasks {
                    cluster.interrupt(task, now, out);
                }
            }
            Ask::Forget { .. } => {}
        }
    }

    /// A client has gone: nothing is told to it any more. What it submitted goes on.
    pub fn leave(&mut self, client: ClientId) {
        self.open.remove(&client);
    }

    /// Takes note of what the cluster says; whether it was about a task of a client.
    pub fn notice(
        &mut self,
        notice: Notice,
        cluster: &mut Cluster,
        now: Instant,
        out: &mut cluster::Output,
    ) -> Option<Notice> {
        match notice {
            Notice::Phase => {
                let engines = engines(cluster);
                for client in self.open.clone() {
                    self.tell(client, engines.clone());
                }
                self.submit_waiting(cluster, now, out);
                Some(notice)
            }
            Notice::Report { task, rank, event } => {
                if !self.tasks.contains_key(&task) {
                    return Some(Notice::Report { task, rank, event });
                }
                self.tell_of(task, |name| Told::Report { name, rank, event });
                None
            }
            Notice::Lost { task, rank, why, lives } => {
                if !self.tasks.contains_key(&task) {
                    return Some(Notice::Lost { task, rank, why, lives });
                }
                self.tell_of(task, |name| Told::Lost { name, rank, why, lives });
                None
            }
            Notice::Over { task } => {
                let Some(open) = self.tasks.remove(&task) else { return Some(notice) };
                self.tell(open.client, Told::Over { name: open.name });
                self.close(open.files);
                None
            }
            Notice::Status(_) | Notice::Answered { .. } => Some(notice),
        }
    }

    fn tell_of(&mut self, task: TaskId, told: impl FnOnce(String) -> Told) {
        if let Some(open) = self.tasks.get(&task) {
            let (client, told) = (open.client, told(open.name.clone()));
            self.tell(client, told);
        }
    }

    /// Has the engines do what waits for them, if they can be had.
    fn submit_waiting(&mut self, cluster: &mut Cluster, now: Instant, out: &mut cluster::Output) {
        let refusal = match cluster.phase() {
            Phase::Launching { .. } | Phase::Stopping { then: Some(_) } => return,
            Phase::Up if cluster.is_uncertain() => return,
            Phase::Up => None,
            Phase::Failed { reason } => Some(reason.clone()),
            Phase::Off | Phase::Stopping { then: None } => Some("the engines were stopped".to_owned()),
        };
        for (client, submission) in std::mem::take(&mut self.waiting) {
            match &refusal {
                Some(why) => self.refuse(client, submission, "EngineError", why.clone()),
                None => self.submit(client, submission, cluster, now, out),
            }
        }
    }

    fn submit(
        &mut self,
        client: ClientId,
        submission: Submission,
        cluster: &mut Cluster,
        now: Instant,
        out: &mut cluster::Output,
    ) {
        let Placement::Each { targets } = &submission.placement else {
            let why = "this build does not balance tasks".to_owned();
            return self.refuse(client, submission, "NotImplementedError", why);
        };
        if let Some(why) = lost(&submission.work) {
            return self.refuse(client, submission, "EngineError", why);
        }
        let mut targets = targets.clone();
        targets.sort_unstable();
        targets.dedup();
        let there = |rank: &Rank| cluster.engines().any(|engine| engine.rank() == *rank);
        if let Some(rank) = targets.iter().find(|rank| !there(rank)) {
            let why = format!("there is no engine {rank}");
            return self.refuse(client, submission, "NoEnginesRegistered", why);
        }
        let (dead, living): (Vec<Rank>, Vec<Rank>) = targets
            .into_iter()
            .partition(|rank| cluster.engines().any(|engine| engine.rank() == *rank && !engine.lives()));
        let Submission { name, label, work, placement } = submission;
        let files = files(&work);
        for rank in dead {
            let engine = cluster.engines().find(|engine| engine.rank() == rank);
            let why = engine.map(Engine::obituary).unwrap_or_default();
            self.tell(client, Told::Lost { name: name.clone(), rank, why, lives: false });
        }
        if living.is_empty() {
            self.tell(client, Told::Over { name });
            return self.close(files);
        }
        match cluster.submit(&living, work, label, now, out) {
            Ok(task) => drop(self.tasks.insert(task, Open { name, client, files })),
            Err(why) => {
                let work = Work::Execute { code: String::new(), store_history: false };
                let submission = Submission { name, label: String::new(), placement, work };
                self.refuse(client, submission, "ValueError", why);
                self.close(files);
            }
        }
    }

    fn refuse(&mut self, client: ClientId, submission: Submission, ename: &str, why: String) {
        let files = files(&submission.work);
        self.tell(client, Told::Refused { name: submission.name, ename: ename.to_owned(), why });
        self.close(files);
    }

    fn tell(&mut self, client: ClientId, told: Told) {
        self.effects.push(Effect::Tell(client, told));
    }

    fn close(&mut self, files: Vec<u32>) {
        if !files.is_empty() {
            self.effects.push(Effect::Close(files));
        }
    }
}

/// Whoever wants engines gets them.
fn start_if_off(cluster: &mut Cluster, now: Instant, out: &mut cluster::Output) {
    if matches!(cluster.phase(), Phase::Off) {
        cluster.start(None, now, out);
    }
}

fn engines(cluster: &Cluster) -> Told {
    let (phase, reason) = match cluster.phase() {
        Phase::Off => ("off", String::new()),
        Phase::Launching { .. } => ("launching", String::new()),
        Phase::Up => ("up", String::new()),
        Phase::Stopping { .. } => ("stopping", String::new()),
        Phase::Failed { reason } => ("failed", reason.clone()),
    };
    let info = |engine: &Engine| EngineInfo {
        rank: engine.rank(),
        host: engine.hello.host.clone(),
        pid: engine.pid,
        alive: engine.lives(),
    };
    Told::Engines { phase: phase.to_owned(), reason, engines: cluster.engines().map(info).collect() }
}

fn lost(work: &Work) -> Option<String> {
    let Work::Apply { payload } = work else { return None };
    payload.lost().map(str::to_owned)
}

/// The memory files of a piece of work, by their descriptors in this process.
fn files(work: &Work) -> Vec<u32> {
    let Work::Apply { payload } = work else { return Vec::new() };
    files_of(payload)
}

fn files_of(payload: &Payload) -> Vec<u32> {
    let files: BTreeSet<u32> = payload.shared().map(|shared| shared.descriptor).collect();
    files.into_iter().collect()
}

/// The memory files of what an engine reported.
#[must_use]
pub fn files_of_event(event: &Event) -> Vec<u32> {
    match event {
        Event::Value { payload } | Event::Data { payload } => files_of(payload),
        _ => Vec::new(),
    }
}
