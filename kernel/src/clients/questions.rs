//! Questions whose answers take time, and answering them.
//!
//! **Invariant**: each is answered once, whatever happens to the engines, or its client has gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use fabric::message::Json;
use fabric::message::Rank;
use fabric::message::client::EnginesAction;
use fabric::message::lifeline;
use fabric::message::task::TaskId;
use serde_json::{Value, json};

use super::{ClientId, Clients, Core};
use crate::cluster::{Cluster, Engine, Phase};

/// How long engines may take to show their stacks, or to say something about what is being typed.
const STACKS: Duration = Duration::from_secs(3);

/// How long engines may take to say how they are: less than a kernel's `%engines` waits.
const STATUS: Duration = Duration::from_millis(400);

/// The questions that wait.
#[derive(Debug, Default)]
pub(super) struct Questions {
    waiting: Vec<Question>,
}

#[derive(Debug)]
struct Question {
    client: ClientId,
    ask: u64,
    matter: Matter,
}

#[derive(Debug)]
enum Matter {
    /// Which of these have begun.
    Begun(BTreeSet<(TaskId, Rank)>),
    /// Whether the engines are there, or are not.
    Engines(EnginesAction),
    /// What engines do.
    Stacks { waiting: BTreeSet<Rank>, stacks: BTreeMap<String, Value>, until: Instant },
    /// How they are.
    Status { waiting: BTreeSet<Rank>, told: BTreeMap<String, Value>, until: Instant },
    /// What an engine knows about what is being typed.
    Enquiry { question: u64, until: Instant },
}

impl Questions {
    pub(super) fn undecided(&mut self, client: ClientId, ask: u64, tasks: BTreeSet<(TaskId, Rank)>) {
        self.waiting.push(Question { client, ask, matter: Matter::Begun(tasks) });
    }

    pub(super) fn leave(&mut self, client: ClientId) {
        self.waiting.retain(|question| question.client != client);
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let until = |question: &Question| match question.matter {
            Matter::Stacks { until, .. } | Matter::Status { until, .. } | Matter::Enquiry { until, .. } => {
                Some(until)
            }
            Matter::Begun(_) | Matter::Engines(_) => None,
        };
        self.waiting.iter().filter_map(until).min()
    }
}

impl Clients {
    /// Whether this task has begun on this engine is known now.
    pub(super) fn decided(&mut self, task: TaskId, rank: Rank) {
        if self.questions.waiting.is_empty() {
            return;
        }
        self.settle(|matter| match matter {
            Matter::Begun(tasks) => {
                tasks.remove(&(task, rank));
                tasks.is_empty().then_some(Ok(Value::Null))
            }
            _ => None,
        });
    }

    /// Starts, stops or restarts the engines.
    pub(super) fn engines(
        &mut self,
        client: ClientId,
        ask: u64,
        action: EnginesAction,
        count: Option<u32>,
        core: &mut Core<'_>,
    ) {
        let cluster = &mut *core.cluster;
        match action {
            EnginesAction::Start if cluster.has(count) => {}
            EnginesAction::Start => cluster.start(count, core.now, core.out),
            EnginesAction::Restart => cluster.start(count.or(cluster.size()), core.now, core.out),
            EnginesAction::Stop => cluster.stop(core.out),
        }
        self.questions.waiting.push(Question { client, ask, matter: Matter::Engines(action) });
        self.answer_engines(core.cluster);
    }

    /// The engines are in a new phase.
    pub(super) fn answer_engines(&mut self, cluster: &Cluster) {
        self.settle(|matter| {
            let Matter::Engines(action) = matter else { return None };
            match (cluster.phase(), *action) {
                (Phase::Launching { .. } | Phase::Stopping { .. }, _) => None,
                (Phase::Failed { reason }, EnginesAction::Start | EnginesAction::Restart) => {
                    Some(Err(reason.clone()))
                }
                (Phase::Failed { .. } | Phase::Off, EnginesAction::Stop) => Some(Ok(Value::Null)),
                (Phase::Up, EnginesAction::Start | EnginesAction::Restart) => Some(Ok(Value::Null)),
                (Phase::Off, _) => Some(Err("the engines were stopped".to_owned())),
                (Phase::Up, EnginesAction::Stop) => Some(Err("the engines were started again".to_owned())),
            }
        });
    }

    /// Asks engines for their stacks.
    pub(super) fn stacks(&mut self, client: ClientId, ask: u64, targets: &[Rank], core: &mut Core<'_>) {
        let waiting = core.cluster.ask_stacks(targets, core.out);
        let (stacks, until) = (BTreeMap::new(), core.now + STACKS);
        self.questions.waiting.push(Question {
            client,
            ask,
            matter: Matter::Stacks { waiting, stacks, until },
        });
        self.answer_late(core.now);
    }

    /// An engine shows its stacks.
    pub(super) fn stack(&mut self, rank: Rank, threads: &str, mpi: Option<&str>) {
        self.settle(|matter| {
            let Matter::Stacks { waiting, stacks, .. } = matter else { return None };
            if waiting.remove(&rank) {
                stacks.insert(rank.to_string(), json!({"threads": threads, "mpi": mpi}));
            }
            waiting.is_empty().then(|| Ok(json!(stacks)))
        });
    }

    /// What engines have not answered by now is answered without them.
    pub(super) fn answer_late(&mut self, now: Instant) {
        self.settle(|matter| match matter {
            Matter::Stacks { waiting, stacks: told, until } | Matter::Status { waiting, told, until } => {
                (waiting.is_empty() || *until <= now).then(|| Ok(json!(told)))
            }
            Matter::Enquiry { until, .. } => (*until <= now).then_some(Ok(Value::Null)),
            Matter::Begun(_) | Matter::Engines(_) => None,
        });
    }

    /// Asks every engine how it is.
    pub(super) fn statuses(&mut self, client: ClientId, ask: u64, core: &mut Core<'_>) {
        core.cluster.ask_status(core.out);
        let living = core.cluster.engines().filter(|engine| engine.lives());
        let waiting = living.map(Engine::rank).collect();
        let matter = Matter::Status { waiting, told: BTreeMap::new(), until: core.now + STATUS };
        self.questions.waiting.push(Question { client, ask, matter });
        self.answer_late(core.now);
    }

    /// An engine has said how it is.
    pub(super) fn status(&mut self, rank: Rank, core: &Core<'_>) {
        if self.questions.waiting.is_empty() {
            return;
        }
        let running = core.cluster.running(rank);
        let runs = running.map(|flight| {
            let seconds = core.now.saturating_duration_since(flight.since).as_secs_f64();
            json!({"label": flight.label, "seconds": seconds})
        });
        let engine = core.cluster.engines().find(|engine| engine.rank() == rank);
        let one = json!({"status": engine.and_then(|engine| engine.status.as_ref()), "runs": runs});
        self.settle(|matter| {
            let Matter::Status { waiting, told, .. } = matter else { return None };
            if waiting.remove(&rank) {
                told.insert(rank.to_string(), one.clone());
            }
            waiting.is_empty().then(|| Ok(json!(told)))
        });
    }

    /// Asks an engine about what is being typed.
    pub(super) fn enquire(
        &mut self,
        client: ClientId,
        ask: u64,
        rank: Rank,
        about: lifeline::Question,
        core: &mut Core<'_>,
    ) {
        match core.cluster.ask(rank, about, core.out) {
            None => self.answer(client, ask, Ok(Value::Null)),
            Some(question) => {
                let matter = Matter::Enquiry { question, until: core.now + STACKS };
                self.questions.waiting.push(Question { client, ask, matter });
            }
        }
    }

    /// An engine has answered; whether it was a client's question.
    pub(super) fn enquired(&mut self, number: u64, content: Option<&Json>) -> bool {
        let is_it = |question: &Question| matches!(question.matter, Matter::Enquiry { question, .. } if question == number);
        let known = self.questions.waiting.iter().any(is_it);
        let said: Value =
            content.and_then(|content| serde_json::from_slice(content).ok()).unwrap_or_default();
        self.settle(|matter| match matter {
            Matter::Enquiry { question, .. } if *question == number => Some(Ok(said.clone())),
            _ => None,
        });
        known
    }

    /// Answers those questions for which there is an answer.
    fn settle(&mut self, answer: impl Fn(&mut Matter) -> Option<Result<Value, String>>) {
        for mut question in std::mem::take(&mut self.questions.waiting) {
            match answer(&mut question.matter) {
                Some(answer) => self.answer(question.client, question.ask, answer),
                None => self.questions.waiting.push(question),
            }
        }
    }
}

impl Cluster {
    /// Asks engines for their Python stacks: those that will answer with a `Notice::Stack`.
    fn ask_stacks(&mut self, targets: &[Rank], out: &mut crate::cluster::Output) -> BTreeSet<Rank> {
        let asked: BTreeSet<Rank> = self
            .engines()
            .filter(|engine| engine.lives() && targets.contains(&engine.rank()))
            .map(Engine::rank)
            .collect();
        self.ask_stack(&asked, out);
        asked
    }
}
