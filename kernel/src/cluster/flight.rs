//! A task in flight: from its fan-out until every target is done with it or lost.
//!
//! **Invariant**: a target is in `waiting` until it reported `Done`, died or was given up, and then never again.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use fabric::frame;
use fabric::message::Rank;
use fabric::message::lifeline::ToWorker;
use fabric::message::report::{Event as Happened, Report};
use fabric::message::task::{Task, TaskId, ToGateway, Work};
use serde_bytes::ByteBuf;

use super::own::Own;
use super::{Effect, Engine, Notice, Output, named};

/// When an engine dies in a task, the others may need it. They get this long to end by themselves, and are then
/// interrupted.
pub(crate) const AFTER_A_DEATH: Duration = Duration::from_millis(600);

/// How long interrupted engines may take to end before they are named and the cell ends without them.
const AFTER_AN_INTERRUPT: Duration = Duration::from_secs(1);

/// One task and those who have not ended it.
#[derive(Debug)]
pub(super) struct Flight {
    /// What it is, in a few words for `%engines`.
    pub label: String,
    /// When it was fanned out.
    pub since: Instant,
    pub(super) waiting: BTreeSet<Rank>,
    /// Calls are each engine's own affair; a cell may be a step that all engines take together, and then the
    /// others wait for a dead one for ever.
    together: bool,
    /// It went out over MPI.
    pub(super) carried: bool,
    hurry: Hurry,
}

#[derive(Debug)]
enum Hurry {
    /// Nobody minds how long it takes.
    No,
    /// Interrupt those who still run at this time.
    Interrupt(Instant),
    /// End without those who still run at this time.
    GiveUp(Instant),
}

impl Flight {
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.hurry {
            Hurry::No => None,
            Hurry::Interrupt(at) | Hurry::GiveUp(at) => Some(at),
        }
    }
}

impl Own {
    /// Fans `work` out to `targets`, which must be living engines in ascending order.
    ///
    /// While all engines live it goes over MPI. Afterwards only the lifelines can be relied on
    /// (MPI 4.1 §2.8: a failed process leaves MPI in an undefined state).
    ///
    /// # Errors
    /// A sentence for the user when there are no engines, or the task cannot be encoded.
    pub fn submit(
        &mut self,
        targets: &[Rank],
        work: Work,
        label: String,
        now: Instant,
        out: &mut Output,
    ) -> Result<TaskId, String> {
        if !self.phase.is_up() {
            return Err("the engines are not up".to_owned());
        }
        let id = self.last_task + 1;
        let count = u32::try_from(targets.len()).map_err(|_| "too many targets".to_owned())?;
        let together = matches!(work, Work::Execute { .. });
        let task = Task { id, targets: count, work };
        let gateway = self.gateway.filter(|_| self.engines.values().all(Engine::lives));
        let carried = gateway.is_some();
        match gateway {
            Some(gateway) => {
                let task = frame::pack(&task).map_err(|error| error.to_string())?;
                let message = ToGateway::FanOut { id, targets: targets.to_vec(), task: ByteBuf::from(task) };
                out.effects.push(Effect::Gateway(gateway, message));
            }
            None => {
                let links =
                    targets.iter().filter_map(|rank| self.engines.get(rank)).map(|engine| engine.link);
                out.effects.extend(links.map(|link| Effect::Worker(link, ToWorker::Task(task.clone()))));
            }
        }
        for rank in targets {
            if let Some(engine) = self.engines.get_mut(rank) {
                engine.tasks.push_back(id);
            }
        }
        self.last_task = id;
        let waiting = targets.iter().copied().collect();
        self.flights.insert(id, Flight { label, since: now, waiting, together, carried, hurry: Hurry::No });
        Ok(id)
    }

    /// Raises `KeyboardInterrupt` in a task on every engine that still runs it.
    pub fn interrupt(&mut self, task: TaskId, now: Instant, out: &mut Output) {
        let Some(flight) = self.flights.get_mut(&task) else { return };
        flight.hurry = Hurry::GiveUp(now + AFTER_AN_INTERRUPT);
        self.hurried.insert(task);
        for engine in flight.waiting.iter().filter_map(|rank| self.engines.get(rank)) {
            // What waits behind another task need not begin for it.
            if engine.tasks.front() != Some(&task) {
                out.effects.push(Effect::Worker(engine.link, ToWorker::Cancel { tasks: vec![task] }));
            }
            out.effects.push(Effect::Worker(engine.link, ToWorker::Interrupt { task }));
        }
    }

    /// Raises `KeyboardInterrupt` in whatever these engines run. Nobody waits for it, so nobody is given up.
    pub fn interrupt_engines(&mut self, ranks: &[Rank], out: &mut Output) {
        for engine in ranks.iter().filter_map(|rank| self.engines.get(rank)).filter(|engine| engine.lives()) {
            if let Some(task) = engine.tasks.front() {
                out.effects.push(Effect::Worker(engine.link, ToWorker::Interrupt { task: *task }));
            }
        }
    }

    /// Gives an engine the answer to what code on it asked ([`Happened::Ask`]).
    pub fn answer(&mut self, rank: Rank, question: u64, answer: Result<String, String>, out: &mut Output) {
        if let Some(engine) = self.engines.get(&rank).filter(|engine| engine.lives()) {
            out.effects.push(Effect::Worker(engine.link, ToWorker::Input { question, answer }));
        }
    }

    /// The targets of a task that have not ended it.
    #[must_use]
    pub fn waiting(&self, task: TaskId) -> usize {
        self.flights.get(&task).map_or(0, |flight| flight.waiting.len())
    }

    pub(super) fn report(&mut self, rank: Rank, report: Report, out: &mut Output) {
        let Report { task, event } = report;
        let done = matches!(event, Happened::Done { .. });
        out.notices.push(Notice::Report { task, rank, event });
        if done {
            if let Some(engine) = self.engines.get_mut(&rank) {
                engine.drop_task(task);
            }
            self.land(task, rank, out);
        }
    }

    /// An engine died: its tasks go on without it, but not for long.
    pub(super) fn mourn(&mut self, rank: Rank, obituary: &str, now: Instant, out: &mut Output) {
        if let Some(gateway) = self.gateway {
            out.effects.push(Effect::Gateway(gateway, ToGateway::Lost { ranks: vec![rank] }));
        }
        // The gateway tells the others what it knows over MPI; its own death they learn here.
        for engine in self.engines.values().filter(|engine| engine.lives()) {
            out.effects.push(Effect::Worker(engine.link, ToWorker::Lost { ranks: vec![rank] }));
        }
        let concerned = self.flights.iter_mut().filter(|(_, flight)| flight.waiting.contains(&rank));
        let mut tasks = Vec::new();
        for (task, flight) in concerned {
            if flight.together {
                flight.hurry = Hurry::Interrupt(now + AFTER_A_DEATH);
                self.hurried.insert(*task);
            }
            tasks.push(*task);
        }
        for task in tasks {
            out.notices.push(Notice::Lost { task, rank, why: obituary.to_owned(), lives: false });
            self.land(task, rank, out);
        }
    }

    pub(super) fn hurry_flights(&mut self, now: Instant, out: &mut Output) {
        let due = |flight: &Flight| flight.deadline().is_some_and(|deadline| deadline <= now);
        let is_due = |task: &&TaskId| self.flights.get(task).is_some_and(due);
        let tasks: Vec<TaskId> = self.hurried.iter().filter(is_due).copied().collect();
        for task in tasks {
            match self.flights.get(&task).map(|flight| &flight.hurry) {
                Some(Hurry::Interrupt(_)) => self.interrupt(task, now, out),
                Some(Hurry::GiveUp(_)) => self.give_up(task, out),
                Some(Hurry::No) | None => {}
            }
        }
    }

    /// Ends every task at once, because the engines end.
    pub(super) fn ground_all(&mut self, why: &str, out: &mut Output) {
        self.hurried.clear();
        for (task, flight) in std::mem::take(&mut self.flights) {
            for rank in flight.waiting {
                out.notices.push(Notice::Lost { task, rank, why: why.to_owned(), lives: false });
            }
            out.notices.push(Notice::Over { task });
        }
    }

    fn give_up(&mut self, task: TaskId, out: &mut Output) {
        let Some(flight) = self.flights.remove(&task) else { return };
        self.hurried.remove(&task);
        let ranks: Vec<Rank> = flight.waiting.into_iter().collect();
        let (verb, it) = if ranks.len() == 1 { ("has", "it is") } else { ("have", "they are") };
        let why = format!(
            "{} {verb} not stopped: {it} inside a call that does not return to Python and will run on; \
             {} starts afresh",
            named(&ranks),
            self.restart,
        );
        for rank in ranks {
            out.notices.push(Notice::Lost { task, rank, why: why.clone(), lives: true });
        }
        out.notices.push(Notice::Over { task });
    }

    pub(super) fn land(&mut self, task: TaskId, rank: Rank, out: &mut Output) {
        let Some(flight) = self.flights.get_mut(&task) else { return };
        flight.waiting.remove(&rank);
        if flight.waiting.is_empty() {
            self.flights.remove(&task);
            self.hurried.remove(&task);
            out.notices.push(Notice::Over { task });
        }
    }
}
