//! A run: the parallel steps of one cell, or of one magic that running code called, one after the other.
//! How a step begins is in `begin`, what happens to it from outside in `events`.
//!
//! **Invariant**: a step begins only when the one before it is over; a step that fails is the last.

mod begin;
mod events;

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use fabric::message::local::{ToLocal, ViewChange};
use fabric::message::{Json, Rank};
use magics::Step;
use serde_json::Value;

use super::failure::Failure;
use super::hints::Hint;
use super::missing::Search;
use super::plan::Plan;
use super::stack::Inquiry;
use super::task::TaskRun;
use super::{Desk, Effect, table};
use crate::cluster::Phase;
use crate::request::Request;

/// A cell that waits for engines says so after this time.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long `%engines` waits for an engine to say how it is.
const STATUS: Duration = Duration::from_millis(500);

/// Where a run comes from.
pub(in crate::session) enum Origin {
    /// A whole cell.
    Cell(Box<CellOrigin>),
    /// A magic that code in the local process called and waits for.
    Call {
        call: u64,
        /// The header of the request that this code belongs to.
        parent: Json,
    },
}

/// The cell that a run is.
pub(in crate::session) struct CellOrigin {
    pub(in crate::session) request: Request,
    pub(in crate::session) count: u32,
    /// Its source, if it is to be kept in the history.
    pub(in crate::session) record: Option<String>,
    pub(in crate::session) stop_on_error: bool,
    /// The reply to the part of it that the local process ran.
    pub(in crate::session) local_reply: Option<Json>,
}

/// How far a run got.
pub(in crate::session) enum Progress {
    /// It waits for something.
    Waiting,
    /// The local process is to run this part of the cell.
    Local(String),
    /// It is over.
    Finished,
}

enum Active {
    /// Nothing: the next step can begin.
    Nothing,
    /// Engines are being started or ended.
    Engines { since: Instant, told: bool, then: Then },
    /// The engines run a task.
    Task(Box<TaskRun>),
    /// A result that is to be shown is not there yet.
    Recall { name: String, targets: Vec<Rank>, plan: Box<Plan> },
    /// The engines were asked where they are.
    Stack(Inquiry),
    /// The engines were asked how they are.
    Table { until: Instant, waiting: BTreeSet<Rank> },
    /// The task has failed, and the local process was asked whether it knows a name.
    Search(Search),
    /// The local process runs a part of the cell.
    Local,
}

/// What is waited for when engines are being started or ended.
enum Then {
    /// This can be run.
    Run(Plan),
    /// They are up.
    Started,
    /// They are gone.
    Ended,
}

/// One run.
pub(in crate::session) struct Run {
    origin: Origin,
    steps: VecDeque<Step>,
    active: Active,
    /// The code that called runs the cell of a `%%px --local` itself, and will ask on.
    paused: bool,
    /// What it gives to the code that called.
    given: Option<Given>,
    failure: Option<Failure>,
    payloads: Vec<Value>,
}

/// Something for the notebook's own Python.
pub(in crate::session) enum Given {
    /// A result, for its namespace.
    Result {
        /// The task's name in the client API.
        name: String,
        /// The variable to bind it to.
        variable: Option<String>,
        /// It is the value of the cell.
        show: bool,
    },
    /// What a view says from now on.
    View(ViewChange),
}

impl Run {
    pub(in crate::session) fn of_cell(cell: CellOrigin, steps: Vec<Step>) -> Self {
        Self::new(Origin::Cell(Box::new(cell)), steps)
    }

    pub(in crate::session) fn of_call(
        call: u64,
        magic: &str,
        line: &str,
        cell: Option<&str>,
        parent: Json,
        suffixes: &[String],
    ) -> Self {
        let step = magics::parse_call(magic, line, cell, suffixes).unwrap_or_else(Step::Usage);
        Self::new(Origin::Call { call, parent }, vec![step])
    }

    fn new(origin: Origin, steps: Vec<Step>) -> Self {
        Self {
            origin,
            steps: steps.into(),
            active: Active::Nothing,
            paused: false,
            given: None,
            failure: None,
            payloads: Vec::new(),
        }
    }

    pub(in crate::session) fn cell(&self) -> Option<&CellOrigin> {
        match &self.origin {
            Origin::Cell(cell) => Some(cell),
            Origin::Call { .. } => None,
        }
    }

    /// Whether the code that made this call waits for it.
    pub(in crate::session) fn answers(&self, number: u64) -> bool {
        matches!(self.origin, Origin::Call { call, .. } if call == number)
    }

    /// The header that the run's output carries as its parent.
    fn parent(&self) -> Json {
        match &self.origin {
            Origin::Cell(cell) => cell.request.parent().clone(),
            Origin::Call { parent, .. } => parent.clone(),
        }
    }

    pub(in crate::session) fn task(&self) -> Option<&TaskRun> {
        match &self.active {
            Active::Task(task) => Some(task),
            _ => None,
        }
    }

    pub(in crate::session) fn task_mut(&mut self) -> Option<&mut TaskRun> {
        match &mut self.active {
            Active::Task(task) => Some(task),
            _ => None,
        }
    }

    pub(in crate::session) fn into_parts(self) -> (Origin, Option<Failure>, Vec<Value>, Option<Given>) {
        (self.origin, self.failure, self.payloads, self.given)
    }

    pub(in crate::session) fn deadline(&self) -> Option<Instant> {
        match &self.active {
            Active::Engines { since, told: false, .. } => Some(*since + PATIENCE),
            Active::Task(task) => task.deadline(),
            Active::Stack(inquiry) => Some(inquiry.deadline()),
            Active::Search(search) => Some(search.deadline()),
            Active::Table { until, .. } => Some(*until),
            Active::Nothing | Active::Engines { .. } | Active::Recall { .. } | Active::Local => None,
        }
    }

    pub(in crate::session) fn tick(&mut self, desk: &mut Desk, now: Instant) {
        let parent = self.parent();
        match &mut self.active {
            Active::Engines { since, told, .. } if !*told && *since + PATIENCE <= now => {
                *told = true;
                let text = table::waiting(&desk.cluster);
                desk.stream("stderr", &text, &parent);
            }
            Active::Task(task) => task.tick(desk, now),
            Active::Table { until, waiting } if *until <= now => waiting.clear(),
            _ => {}
        }
    }

    /// Goes as far as it can.
    pub(in crate::session) fn advance(&mut self, desk: &mut Desk, now: Instant) -> Progress {
        loop {
            match std::mem::replace(&mut self.active, Active::Nothing) {
                Active::Nothing => {}
                Active::Engines { since, told, then } => match desk.cluster.phase() {
                    Phase::Launching { .. } | Phase::Stopping { .. } => {
                        self.active = Active::Engines { since, told, then };
                        return Progress::Waiting;
                    }
                    // Who is dead, and of what, is known in a moment.
                    Phase::Up if desk.cluster.is_uncertain() => {
                        self.active = Active::Engines { since, told, then };
                        return Progress::Waiting;
                    }
                    phase => match (then, phase) {
                        (Then::Ended, _) | (Then::Started, Phase::Off | Phase::Up) => {}
                        (_, Phase::Failed { reason }) => {
                            self.failure = Some(Failure::engines(reason.clone()));
                        }
                        (Then::Run(px), Phase::Up) => self.fan_out(px, desk, now),
                        (Then::Run(_), _) | (Then::Started, _) => {
                            self.failure = Some(Failure::engines(NO_ENGINES.to_owned()));
                        }
                    },
                },
                Active::Task(task) if !task.is_over() => {
                    self.active = Active::Task(task);
                    return Progress::Waiting;
                }
                Active::Task(mut task) => {
                    self.payloads.append(&mut task.payloads);
                    if let Some(missing) = task.missing().filter(|_| !desk.hints.was_given(Hint::OnlyHere)) {
                        let search = Search::begin(missing, now);
                        let name = search.name().to_owned();
                        desk.effects.push(Effect::Local(ToLocal::Seek { name }));
                        self.active = Active::Search(search);
                    }
                    self.failure = task.failure();
                    desk.remember(*task);
                    if matches!(self.active, Active::Search(_)) {
                        continue;
                    }
                }
                Active::Search(search) if !search.is_over(now) => {
                    self.active = Active::Search(search);
                    return Progress::Waiting;
                }
                Active::Search(search) => {
                    if let Some(hint) = search.hint().filter(|_| desk.hints.is_new(Hint::OnlyHere)) {
                        desk.note(&hint, &self.parent());
                    }
                }
                Active::Table { until, waiting } if !waiting.is_empty() => {
                    self.active = Active::Table { until, waiting };
                    return Progress::Waiting;
                }
                Active::Table { .. } => table::show(desk, &self.parent(), now),
                Active::Recall { name, targets, plan } if desk.clients.is_pending(&name) => {
                    self.active = Active::Recall { name, targets, plan };
                    return Progress::Waiting;
                }
                Active::Recall { name, targets, plan } => match desk.clients.known(&name) {
                    Some((_, told)) => {
                        let task = TaskRun::recalled(&targets, &plan, told, self.parent(), desk, now);
                        self.active = Active::Task(Box::new(task));
                    }
                    None => self.failure = Some(Failure::Usage(FORGOTTEN.to_owned())),
                },
                Active::Stack(inquiry) if !inquiry.is_complete(now) => {
                    self.active = Active::Stack(inquiry);
                    return Progress::Waiting;
                }
                Active::Stack(inquiry) => desk.note(&inquiry.text(), &self.parent()),
                Active::Local => {
                    self.active = Active::Local;
                    return Progress::Waiting;
                }
            }
            if self.paused {
                return Progress::Waiting;
            }
            if self.failure.is_some() {
                return Progress::Finished;
            }
            if !matches!(self.active, Active::Nothing) {
                continue;
            }
            let Some(step) = self.steps.pop_front() else { return Progress::Finished };
            if let Step::Local(code) = step {
                self.active = Active::Local;
                return Progress::Local(code);
            }
            self.begin(step, desk, now);
        }
    }
}

const FORGOTTEN: &str = "the last result is not remembered any more: it was purged, or many came after it";
const NO_ENGINES: &str = "the engines were stopped; `%engines start` starts them";
