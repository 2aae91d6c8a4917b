//! How a step begins: it meets the engines that are there, and the run waits for what comes of it.

use std::time::Instant;

use fabric::message::Rank;
use fabric::message::local::{Answer, ToLocal};
use fabric::message::task::Work;
use magics::{Display, EnginesAction, Step, Targets};
use serde_json::json;

use super::{Active, Given, Origin, Run, STATUS, Then};
use crate::cluster::{Engine, Phase, listed};
use crate::session::eager::Eager;
use crate::session::failure::Failure;
use crate::session::plan::Plan;
use crate::session::sets::Last;
use crate::session::stack::Inquiry;
use crate::session::task::TaskRun;
use crate::session::{Desk, Effect, table};

impl Run {
    pub(super) fn begin(&mut self, step: Step, desk: &mut Desk, now: Instant) {
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
            Phase::Failed { reason } if !desk.cluster.starts_on_demand() => {
                self.failure = Some(Failure::engines(reason.clone()));
            }
            _ => {
                if desk.cluster.starts_on_demand() {
                    desk.cluster(|cluster, out| cluster.start(None, now, out));
                }
                self.active = Active::Engines { since: now, told: false, then: Then::Run(plan) };
            }
        }
    }

    /// Shows the last result of a set again, or gives it a name.
    fn recall(&mut self, set: &str, mut display: Display, desk: &mut Desk) {
        let Some(last) = desk.sets.set(set).last.clone() else {
            let text = format!("%pxresult{set} recalls last %px{set} result, which has not yet been used.");
            return self.failure = Some(Failure::Usage(text));
        };
        if let Some(variable) = display.out.take() {
            let given = Given::Result { name: last.result(), variable: Some(variable), show: false };
            return self.give(given, desk);
        }
        let plan = Box::new(Plan::recall(display, &desk.sets, set));
        self.active = Active::Recall { name: last.name, targets: last.targets, plan };
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
                let there = desk.cluster.engines().count();
                match desk.cluster.phase() {
                    Phase::Up if desk.cluster.has(count) => {
                        let text = format!(
                            "The engines run already ({there}); `%engines restart` gives fresh ones.\n"
                        );
                        return desk.stream("stdout", &text, &self.parent());
                    }
                    _ if desk.cluster.has(count) => {}
                    _ => desk.cluster(|cluster, out| cluster.start(count, now, out)),
                }
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
            EnginesAction::Stop => {
                desk.cluster(|cluster, out| cluster.stop(out));
                self.active = Active::Engines { since: now, told: false, then: Then::Ended };
                return;
            }
            EnginesAction::Restart { count } => {
                desk.cluster(|cluster, out| cluster.start(count.or(cluster.size()), now, out));
            }
        }
        self.active = Active::Engines { since: now, told: false, then: Then::Started };
    }

    /// The plan meets the engines that live, and the task goes out.
    pub(super) fn fan_out(&mut self, plan: Plan, desk: &mut Desk, now: Instant) {
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
                let last = Last { name, targets: ranks.clone(), single: resolved.single };
                let name = last.result();
                desk.sets.set(&plan.set).last = Some(last);
                // As with code, the value of a cell is that of its last line.
                let show = !plan.block && !plan.auto && self.steps.is_empty();
                if show || plan.out.is_some() {
                    self.give(Given::Result { name, variable: plan.out.clone(), show }, desk);
                }
                let task = TaskRun::new(task, &ranks, resolved.single, &plan, parent, now);
                if let (true, Origin::Call { call, .. }) = (plan.local, &self.origin) {
                    self.paused = true;
                    let answer = ToLocal::Answer { call: *call, answer: Answer::RunHere, shown: Vec::new() };
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
}
