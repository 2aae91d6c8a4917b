//! A run: the parallel steps of one cell, or of one magic that running code called, one after the other.
//!
//! **Invariant**: a step begins only when the one before it is over; a step that fails is the last.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use fabric::message::local::{Answer, Found, ToLocal, ViewChange};
use fabric::message::task::Work;
use fabric::message::{Json, Rank};
use magics::{Display, EnginesAction, Step, Targets};
use serde_json::{Value, json};

use super::eager::Eager;
use super::failure::Failure;
use super::hints::Hint;
use super::missing::Search;
use super::plan::Plan;
use super::stack::{Dump, Inquiry};
use super::task::TaskRun;
use super::{Desk, Effect, table};
use crate::cluster::{Engine, Phase, listed};
use crate::request::Request;

/// A cell that waits for engines says so after this time.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long `%engines` waits for an engine to say how it is.
const STATUS: Duration = Duration::from_millis(500);

/// Where a run comes from.
pub(super) enum Origin {
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
pub(super) struct CellOrigin {
    pub(super) request: Request,
    pub(super) count: u32,
    /// Its source, if it is to be kept in the history.
    pub(super) record: Option<String>,
    pub(super) stop_on_error: bool,
    /// The reply to the part of it that the local process ran.
    pub(super) local_reply: Option<Json>,
}

/// How far a run got.
pub(super) enum Progress {
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
    /// Engines are being started or ended; `px` is what is to be run when they are up.
    Engines { since: Instant, told: bool, px: Option<Plan> },
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

/// One run.
pub(super) struct Run {
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
pub(super) enum Given {
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
    pub(super) fn of_cell(cell: CellOrigin, steps: Vec<Step>) -> Self {
        Self::new(Origin::Cell(Box::new(cell)), steps)
    }

    pub(super) fn of_call(
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

    pub(super) fn cell(&self) -> Option<&CellOrigin> {
        match &self.origin {
            Origin::Cell(cell) => Some(cell),
            Origin::Call { .. } => None,
        }
    }

    /// Whether the code that made this call waits for it.
    pub(super) fn answers(&self, number: u64) -> bool {
        matches!(self.origin, Origin::Call { call, .. } if call == number)
    }

    /// The header that the run's output carries as its parent.
    fn parent(&self) -> Json {
        match &self.origin {
            Origin::Cell(cell) => cell.request.parent().clone(),
            Origin::Call { parent, .. } => parent.clone(),
        }
    }

    pub(super) fn task(&self) -> Option<&TaskRun> {
        match &self.active {
            Active::Task(task) => Some(task),
            _ => None,
        }
    }

    pub(super) fn task_mut(&mut self) -> Option<&mut TaskRun> {
        match &mut self.active {
            Active::Task(task) => Some(task),
            _ => None,
        }
    }

    pub(super) fn into_parts(self) -> (Origin, Option<Failure>, Vec<Value>, Option<Given>) {
        (self.origin, self.failure, self.payloads, self.given)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.active {
            Active::Engines { since, told: false, .. } => Some(*since + PATIENCE),
            Active::Task(task) => task.deadline(),
            Active::Stack(inquiry) => Some(inquiry.deadline()),
            Active::Search(search) => Some(search.deadline()),
            Active::Table { until, .. } => Some(*until),
            Active::Nothing | Active::Engines { .. } | Active::Recall { .. } | Active::Local => None,
        }
    }

    pub(super) fn tick(&mut self, desk: &mut Desk, now: Instant) {
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

    pub(super) fn status(&mut self, rank: Rank) {
        if let Active::Table { waiting, .. } = &mut self.active {
            waiting.remove(&rank);
        }
    }

    /// Goes as far as it can.
    pub(super) fn advance(&mut self, desk: &mut Desk, now: Instant) -> Progress {
        loop {
            match std::mem::replace(&mut self.active, Active::Nothing) {
                Active::Nothing => {}
                Active::Engines { since, told, px } => match desk.cluster.phase() {
                    Phase::Launching { .. } | Phase::Stopping { .. } => {
                        self.active = Active::Engines { since, told, px };
                        return Progress::Waiting;
                    }
                    // Who is dead, and of what, is known in a moment.
                    Phase::Up if desk.cluster.is_uncertain() => {
                        self.active = Active::Engines { since, told, px };
                        return Progress::Waiting;
                    }
                    Phase::Failed { reason } => self.failure = Some(Failure::engines(reason.clone())),
                    Phase::Off if px.is_some() => {
                        self.failure = Some(Failure::engines(NO_ENGINES.to_owned()))
                    }
                    Phase::Off | Phase::Up => {
                        if let Some(px) = px {
                            self.fan_out(px, desk, now);
                        }
                    }
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

    fn begin(&mut self, step: Step, desk: &mut Desk, now: Instant) {
        match step {
            Step::Px(px) => self.begin_px(Plan::of(px, &desk.sets, desk.interactive), desk, now),
            Step::Autopx { set, switch } => {
                let text = desk.sets.switch(&set, switch);
                desk.stream("stdout", &text, &self.parent());
            }
            Step::Config { set, config } => {
                let ids: Vec<Rank> = desk.cluster.engines().map(Engine::rank).collect();
                if let Some(change) = desk.sets.configure(&set, config, &ids) {
                    self.give(Given::View(change), desk);
                }
            }
            Step::Recall { set, display } => self.recall(&set, display, desk),
            Step::Stack { targets } => self.ask_stacks(targets, desk, now),
            Step::Engines(action) => self.engines(&action, desk, now),
            Step::Help(text) => {
                self.payloads.push(json!({"source": "page", "data": {"text/plain": text}, "start": 0}));
            }
            Step::Usage(wrong) => self.failure = Some(Failure::Usage(wrong.to_string())),
            // `advance` hands local parts over before it comes here.
            Step::Local(_) => {}
        }
    }

    fn begin_px(&mut self, plan: Plan, desk: &mut Desk, now: Instant) {
        match desk.cluster.phase() {
            Phase::Up if !desk.cluster.is_uncertain() => self.fan_out(plan, desk, now),
            Phase::Failed { reason } => self.failure = Some(Failure::engines(reason.clone())),
            phase => {
                if matches!(phase, Phase::Off) {
                    desk.cluster(|cluster, out| cluster.start(None, now, out));
                }
                self.active = Active::Engines { since: now, told: false, px: Some(plan) };
            }
        }
    }

    /// Shows the last result of a set again, or gives it a name.
    fn recall(&mut self, set: &str, mut display: Display, desk: &mut Desk) {
        let Some((name, targets)) = desk.sets.set(set).last.clone() else {
            let text = format!("%pxresult{set} recalls last %px{set} result, which has not yet been used.");
            return self.failure = Some(Failure::Usage(text));
        };
        if let Some(variable) = display.out.take() {
            return self.give(Given::Result { name, variable: Some(variable), show: false }, desk);
        }
        let plan = Box::new(Plan::recall(display, &desk.sets, set));
        self.active = Active::Recall { name, targets, plan };
    }

    /// Gives something to the notebook: to a cell at once, to code that called when its call is answered.
    fn give(&mut self, given: Given, desk: &mut Desk) {
        let Origin::Cell(cell) = &self.origin else { return self.given = Some(given) };
        let (parent, count) = (cell.request.parent().clone(), cell.count);
        let (name, variable, show) = match given {
            Given::Result { name, variable, show } => (name, variable, show),
            Given::View(change) => {
                return desk.effects.push(Effect::Local(ToLocal::Configured(change)));
            }
        };
        if show {
            let data = json!({"text/plain": "<AsyncResult(%px): pending>"});
            let content = json!({"execution_count": count, "data": data, "metadata": {}});
            let message = desk.composer.iopub("execute_result", &parent, &content);
            desk.send(message);
        }
        desk.effects.push(Effect::Local(ToLocal::Bind { name, variable, show, parent, count }));
    }

    fn ask_stacks(&mut self, targets: Option<Targets>, desk: &mut Desk, now: Instant) {
        let ids: Vec<Rank> =
            desk.cluster.engines().filter(|engine| engine.lives()).map(Engine::rank).collect();
        match targets.unwrap_or(Targets::All).resolve(&ids) {
            Ok(resolved) => self.active = Active::Stack(Inquiry::begin(&resolved.ids, desk, now)),
            Err(wrong) => self.failure = Some(Failure::Usage(wrong.to_string())),
        }
    }

    /// An engine said where it is; `code` is what it runs.
    pub(super) fn stack(
        &mut self,
        rank: Rank,
        dump: Dump<'_>,
        code: Option<&str>,
        desk: &mut Desk,
        now: Instant,
    ) {
        match &mut self.active {
            Active::Stack(inquiry) => inquiry.answered(rank, dump, code),
            Active::Task(task) => task.stack(rank, dump, desk, now),
            _ => {}
        }
    }

    /// The local process has said what it has under a name.
    pub(super) fn sought(&mut self, name: &str, found: &Found) {
        if let Active::Search(search) = &mut self.active {
            search.answered(name, found);
        }
    }

    fn engines(&mut self, action: &EnginesAction, desk: &mut Desk, now: Instant) {
        match action {
            EnginesAction::Show => desk.start_waiting_engines(now),
            EnginesAction::Interrupt { .. } => {}
            _ => desk.eager = Eager::Never,
        }
        match *action {
            EnginesAction::Show => {
                desk.cluster(|cluster, out| cluster.ask_status(out));
                let waiting =
                    desk.cluster.engines().filter(|engine| engine.lives()).map(Engine::rank).collect();
                self.active = Active::Table { until: now + STATUS, waiting };
                return;
            }
            EnginesAction::Start { count } => {
                if let Phase::Up | Phase::Launching { .. } = desk.cluster.phase() {
                    let there = desk.cluster.engines().count();
                    if count.is_none_or(|count| count as usize == there) {
                        let text = format!(
                            "The engines run already ({there}); `%engines restart` gives fresh ones.\n"
                        );
                        return desk.stream("stdout", &text, &self.parent());
                    }
                }
                desk.cluster(|cluster, out| cluster.start(count, now, out));
            }
            EnginesAction::Interrupt { ref targets } => {
                let ids: Vec<Rank> = desk.cluster.engines().map(Engine::rank).collect();
                return match targets.as_ref().unwrap_or(&magics::Targets::All).resolve(&ids) {
                    Ok(resolved) => {
                        desk.cluster(|cluster, out| cluster.interrupt_engines(&resolved.ids, out));
                    }
                    Err(wrong) => self.failure = Some(Failure::Usage(wrong.to_string())),
                };
            }
            EnginesAction::Stop => desk.cluster(|cluster, out| cluster.stop(out)),
            EnginesAction::Restart { count } => {
                let there = u32::try_from(desk.cluster.engines().count()).ok().filter(|there| *there > 0);
                desk.cluster(|cluster, out| cluster.start(count.or(there), now, out));
            }
        }
        self.active = Active::Engines { since: now, told: false, px: None };
    }

    /// The plan meets the engines that live, and the task goes out.
    fn fan_out(&mut self, plan: Plan, desk: &mut Desk, now: Instant) {
        let ids: Vec<Rank> = desk.cluster.engines().map(Engine::rank).collect();
        let resolved = match plan.targets.resolve(&ids) {
            Ok(resolved) => resolved,
            Err(wrong) => return self.failure = Some(Failure::Usage(wrong.to_string())),
        };
        let dead =
            |rank: &&Rank| desk.cluster.engines().any(|engine| engine.rank() == **rank && !engine.lives());
        if let Some(rank) = resolved.ids.iter().find(dead) {
            let obituary = desk.cluster.engines().find(|engine| engine.rank() == *rank).map(Engine::obituary);
            return self.failure =
                Some(Failure::engines(table::rescue(&desk.cluster, obituary.unwrap_or_default())));
        }
        let mut ranks = resolved.ids;
        ranks.sort_unstable();
        ranks.dedup();
        let parent = self.parent();
        if plan.verbose {
            desk.stream("stdout", &plan.announcement(&ranks), &parent);
        }
        if plan.auto && desk.sets.announces() {
            let text = format!("autopx is on: cells run on engines {} until `%autopx`", listed(&ranks));
            desk.note(&text, &parent);
        }
        let label = plan.code.trim().lines().next().unwrap_or_default().to_owned();
        let work = Work::Execute { code: plan.code.clone(), store_history: true, measure: plan.stats };
        match desk.cluster(|cluster, out| cluster.submit(&ranks, work, label, now, out)) {
            Err(reason) => self.failure = Some(Failure::engines(reason)),
            Ok(task) => {
                let name = desk.clients(now, |clients, _| clients.cell(task, &plan.code, &ranks, now));
                desk.sets.set(&plan.set).last = Some((name.clone(), ranks.clone()));
                // As with code, the value of a cell is that of its last line.
                let show = !plan.block && !plan.auto && self.steps.is_empty();
                if show || plan.out.is_some() {
                    self.give(Given::Result { name, variable: plan.out.clone(), show }, desk);
                }
                let task = TaskRun::new(task, &ranks, resolved.single, &plan, parent, now);
                if let (true, Origin::Call { call, .. }) = (plan.local, &self.origin) {
                    self.paused = true;
                    let answer = ToLocal::Answer { call: *call, answer: Answer::RunHere };
                    desk.effects.push(Effect::Local(answer));
                }
                if plan.block {
                    self.active = Active::Task(Box::new(task));
                } else {
                    desk.detached.push(task);
                }
            }
        }
    }

    /// The user wants it to end.
    pub(super) fn interrupt(&mut self, desk: &mut Desk, now: Instant) {
        match &mut self.active {
            Active::Task(task) => task.interrupt(desk, now),
            Active::Engines { px: Some(_), .. } => {
                self.active = Active::Nothing;
                self.failure = Some(Failure::Interrupted("while it waited for the engines".to_owned()));
            }
            Active::Stack(_) | Active::Search(_) => self.active = Active::Nothing,
            Active::Recall { .. } => {
                self.active = Active::Nothing;
                self.failure = Some(Failure::Interrupted(NO_WAIT.to_owned()));
            }
            Active::Nothing | Active::Engines { .. } | Active::Table { .. } | Active::Local => {}
        }
    }

    /// The code that called has run the cell, and waits under another number.
    pub(super) fn resume(&mut self, by: u64, desk: &mut Desk, now: Instant) {
        if let Origin::Call { call, .. } = &mut self.origin {
            *call = by;
            self.paused = false;
        }
        if let Active::Task(task) = &mut self.active {
            task.release(desk, now);
        }
    }

    pub(super) fn waits_for_local(&self) -> bool {
        self.paused || matches!(self.active, Active::Local)
    }

    /// The cell of which the local process runs a part, if the request is this cell's.
    pub(super) fn local_part(&mut self, msg_id: &str) -> Option<&mut CellOrigin> {
        match (&mut self.origin, &self.active) {
            (Origin::Cell(cell), Active::Local) if cell.request.header.msg_id == msg_id => Some(cell),
            _ => None,
        }
    }

    pub(super) fn local_finished(&mut self, failed: bool) {
        self.active = Active::Nothing;
        if failed {
            self.failure = Some(Failure::Local);
        }
    }

    pub(super) fn local_died(&mut self, what: &str) {
        if matches!(self.active, Active::Local) {
            self.active = Active::Nothing;
            self.failure = Some(Failure::engines(what.to_owned()));
        }
    }
}

const NO_WAIT: &str = "while it waited for the result; the engines go on";
const FORGOTTEN: &str = "the last result is not remembered any more: it was purged, or many came after it";
const NO_ENGINES: &str = "the engines were stopped; `%engines start` starts them";
