//! What the hub tells, as the notices that engines of one's own would cause.
//!
//! **Invariant**: an answer to a question is taken once; what is said of a task that is not known here changes nothing.

use std::collections::BTreeMap;
use std::time::Instant;

use fabric::message::client::{Ask, EngineInfo, EnginesAction, Forgotten, Told};
use fabric::message::lifeline::Status;
use fabric::message::report::{Event, Raised};
use fabric::message::task::TaskId;
use fabric::message::{Json, Rank};
use serde::Deserialize;
use serde_json::Value;

use super::{Attached, FromHub, Hub, Matter, ToHub, launching, seconds_ago};
use crate::cluster::{Engine, Notice, Output, Phase, State};

/// How many ended tasks are remembered for what their threads still write.
const REMEMBERED: usize = 64;

/// How an engine is, as the hub says it.
#[derive(Debug, Deserialize)]
struct Being {
    status: Option<Status>,
    runs: Option<Runs>,
}

#[derive(Debug, Deserialize)]
struct Runs {
    label: String,
    seconds: f64,
}

/// Where an engine is, as the hub says it.
#[derive(Debug, Deserialize)]
struct Stack {
    threads: String,
    mpi: Option<String>,
}

impl Attached {
    pub(in crate::cluster) fn heard(&mut self, heard: FromHub, now: Instant, out: &mut Output) {
        match heard {
            FromHub::Joined => {
                self.hub = Hub::Joined;
                out.hub.push(ToHub::Ask(Ask::Open));
                let count = self.wanted.take();
                self.change(EnginesAction::Start, count, launching(now), out);
            }
            FromHub::Told(told) => self.told(told, now, out),
            FromHub::Gone { reason } => self.let_go(&reason.clone(), Phase::Failed { reason }, out),
        }
    }

    fn told(&mut self, told: Told, now: Instant, out: &mut Output) {
        match told {
            Told::Engines { phase, reason, caution, engines, .. } => {
                self.caution = caution;
                self.mirror(engines);
                self.enter(&phase, reason, now);
                out.notices.push(Notice::Phase);
            }
            Told::Report { name, rank, event } => {
                let Some(task) = self.names.get(&name).copied() else { return };
                if matches!(event, Event::Done { .. }) {
                    self.land(task, rank);
                }
                out.notices.push(Notice::Report { task, rank, event });
            }
            Told::Lost { name, rank, why, lives } => {
                let Some(task) = self.names.get(&name).copied() else { return };
                self.land(task, rank);
                out.notices.push(Notice::Lost { task, rank, why, lives });
            }
            Told::Refused { name, why, .. } => {
                let Some(task) = self.names.get(&name).copied() else { return };
                self.lose(task, &why, out);
                self.over(task, out);
            }
            Told::Over { name } => {
                if let Some(task) = self.names.get(&name).copied() {
                    self.over(task, out);
                }
            }
            Told::Answer { ask, answer } => {
                if let Some(matter) = self.asked.remove(&ask) {
                    self.answered(ask, matter, answer, now, out);
                }
            }
        }
    }

    /// The engines as the hub has them.
    fn mirror(&mut self, told: Vec<EngineInfo>) {
        let is_same = |engine: &Engine| {
            told.iter().any(|info| info.hello.rank == engine.rank() && info.pid == engine.pid)
        };
        if !self.engines.values().all(is_same) {
            self.set += 1;
        }
        let mut before = std::mem::take(&mut self.engines);
        for EngineInfo { pid, hello, died } in told {
            let known = before.remove(&hello.rank).filter(|known| known.pid == pid);
            let mut engine = Engine::new(0, pid, hello);
            engine.status = known.and_then(|known| known.status);
            if let Some(how) = died {
                engine.state = State::Dead { how };
            }
            self.engines.insert(engine.rank(), engine);
        }
    }

    /// The engines are in this phase; while they are on their way somewhere, it is noted for when they are there.
    fn enter(&mut self, phase: &str, reason: String, now: Instant) {
        let phase = match phase {
            "up" => Phase::Up,
            "off" => Phase::Off,
            "stopping" => Phase::Stopping { then: None },
            "launching" if matches!(self.phase, Phase::Launching { .. }) => return,
            "launching" => launching(now),
            _ => Phase::Failed { reason },
        };
        match &mut self.under_way {
            Some((_, told)) if !matches!(phase, Phase::Launching { .. }) => *told = phase,
            _ => self.phase = phase,
        }
    }

    fn answered(
        &mut self,
        ask: u64,
        matter: Matter,
        answer: Result<Json, Raised>,
        now: Instant,
        out: &mut Output,
    ) {
        match matter {
            Matter::Engines => {
                if let Some((_, phase)) = self.under_way.take_if(|(under_way, _)| *under_way == ask) {
                    self.phase = phase;
                    out.notices.push(Notice::Phase);
                }
            }
            Matter::Status => {
                let told: BTreeMap<Rank, Being> = parsed(answer).unwrap_or_default();
                for (rank, Being { status, runs }) in told {
                    if let Some(engine) = self.engines.get_mut(&rank) {
                        engine.status = status;
                    }
                    if let Some(Runs { label, seconds }) = runs {
                        self.runs.insert(rank, (label, seconds_ago(seconds, now)));
                    }
                }
                // Those that have not said it are not waited for either.
                out.notices.extend(self.engines.keys().map(|rank| Notice::Status(*rank)));
            }
            Matter::Stack(rank) => {
                let told: BTreeMap<Rank, Stack> = parsed(answer).unwrap_or_default();
                let stacks = told.into_iter().filter(|(of, _)| *of == rank);
                out.notices.extend(stacks.map(|(rank, Stack { threads, mpi })| Notice::Stack {
                    rank,
                    threads,
                    mpi,
                }));
            }
            Matter::Enquiry => {
                let content = answer.ok().filter(|content| content.as_ref() != b"null".as_slice());
                out.notices.push(Notice::Answered { question: ask, content });
            }
            Matter::Nothing => {}
        }
    }

    /// A target is done with a task, or lost.
    fn land(&mut self, task: TaskId, rank: Rank) {
        if let Some(flight) = self.flights.get_mut(&task) {
            flight.waiting.remove(&rank);
        }
    }

    /// Those who have not ended a task never will.
    fn lose(&mut self, task: TaskId, why: &str, out: &mut Output) {
        let Some(flight) = self.flights.get_mut(&task) else { return };
        let lost = std::mem::take(&mut flight.waiting).into_iter();
        out.notices.extend(lost.map(|rank| Notice::Lost { task, rank, why: why.to_owned(), lives: false }));
    }

    fn over(&mut self, task: TaskId, out: &mut Output) {
        let Some(flight) = self.flights.remove(&task) else { return };
        if flight.passing && self.hub == Hub::Joined {
            out.hub
                .push(ToHub::Ask(Ask::Forget { names: vec![flight.name.clone()], what: Forgotten::Records }));
        }
        self.ended.push_back(flight.name);
        if self.ended.len() > REMEMBERED
            && let Some(name) = self.ended.pop_front()
        {
            self.names.remove(&name);
        }
        out.notices.push(Notice::Over { task });
    }

    /// There is no hub any more: its tasks are lost, and what is asked next looks for it anew.
    pub(super) fn let_go(&mut self, why: &str, phase: Phase, out: &mut Output) {
        self.hub = Hub::Away;
        for task in self.flights.keys().copied().collect::<Vec<_>>() {
            self.lose(task, why, out);
            self.over(task, out);
        }
        let enquiries = self.asked.drain().filter(|(_, matter)| matches!(matter, Matter::Enquiry));
        out.notices.extend(enquiries.map(|(question, _)| Notice::Answered { question, content: None }));
        (self.names, self.ended) = Default::default();
        self.engines.clear();
        self.runs.clear();
        (self.caution, self.under_way, self.wanted) = (None, None, None);
        self.phase = phase;
        out.notices.push(Notice::Phase);
    }
}

/// What an answer says of each engine.
fn parsed<T: for<'a> Deserialize<'a>>(answer: Result<Json, Raised>) -> Option<BTreeMap<Rank, T>> {
    let told: Value = serde_json::from_slice(&answer.ok()?).ok()?;
    serde_json::from_value(told).ok()
}
