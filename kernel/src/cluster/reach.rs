//! Reaching into what engines do: taking tasks back, signals, stacks.

use std::collections::{BTreeMap, BTreeSet};

use fabric::message::Rank;
use fabric::message::lifeline::{ToSupervisor, ToWorker};
use fabric::message::report::{Event as Happened, Outcome, Report};
use fabric::message::task::TaskId;

use super::own::Own;
use super::{Effect, Engine, Notice, Output, named};

/// SIGINT's number, the same on every Linux.
pub(super) const INTERRUPT: i32 = 2;

impl Own {
    /// Takes tasks back where they have not begun. Returns where that is not known yet: each of these will
    /// be followed by its end, or by [`Notice::Kept`].
    pub fn cancel<'a>(
        &mut self,
        tasks: impl Iterator<Item = (TaskId, Option<&'a BTreeSet<Rank>>)>,
        out: &mut Output,
    ) -> BTreeSet<(TaskId, Rank)> {
        let mut undecided = BTreeSet::new();
        for (task, ranks) in tasks {
            let waiting = self.flights.get(&task).into_iter().flat_map(|flight| &flight.waiting);
            let meant = waiting.filter(|rank| ranks.is_none_or(|ranks| ranks.contains(rank)));
            undecided.extend(meant.map(|rank| (task, *rank)));
        }
        for engine in self.engines.values().filter(|engine| engine.lives()) {
            let tasks: Vec<TaskId> =
                undecided.iter().filter(|(_, rank)| *rank == engine.rank()).map(|(task, _)| *task).collect();
            if !tasks.is_empty() {
                out.effects.push(Effect::Worker(engine.link, ToWorker::Cancel { tasks }));
            }
        }
        undecided
    }

    /// An engine will not begin with `tasks`; with `begun` it has begun. Its own reports of the former come
    /// later, when nobody waits for them.
    pub(super) fn cancelled(&mut self, rank: Rank, tasks: Vec<TaskId>, begun: Vec<TaskId>, out: &mut Output) {
        for task in tasks {
            let waits = self.flights.get(&task).is_some_and(|flight| flight.waiting.contains(&rank));
            if waits {
                let outcome = Outcome::Aborted;
                let event = Happened::Done { outcome, count: 0, started: 0.0, completed: 0.0 };
                self.report(rank, Report { task, event }, out);
            }
        }
        if !begun.is_empty() {
            out.notices.push(Notice::Kept { rank, tasks: begun });
        }
    }

    /// Sends a signal to the processes of these engines; SIGINT interrupts the task that runs there.
    ///
    /// # Errors
    /// A sentence for the user, when one of them is not there; then none gets it.
    pub fn signal(&mut self, targets: &[Rank], signal: i32, out: &mut Output) -> Result<(), String> {
        all_live(&self.engines, targets)?;
        for engine in targets.iter().filter_map(|rank| self.engines.get(rank)) {
            match (signal, engine.tasks.front()) {
                (INTERRUPT, None) => {}
                (INTERRUPT, Some(task)) => {
                    out.effects.push(Effect::Worker(engine.link, ToWorker::Interrupt { task: *task }));
                }
                // Its parent sends it: whatever state the engine is in, and to no other process.
                (signal, _) => {
                    let supervisor = self.supervisors.get(&engine.pid);
                    let message = ToSupervisor::Signal { signal };
                    out.effects.extend(supervisor.map(|link| Effect::Supervisor(*link, message)));
                }
            }
        }
        Ok(())
    }

    /// Asks engines for the Python stacks of all their threads; each answer is a [`Notice::Stack`].
    pub fn ask_stack(&mut self, targets: &BTreeSet<Rank>, out: &mut Output) {
        let asked = self.engines.values().filter(|engine| engine.lives() && targets.contains(&engine.rank()));
        out.effects.extend(asked.map(|engine| Effect::Worker(engine.link, ToWorker::Stack)));
    }
}

/// Whether these engines are there.
///
/// # Errors
/// A sentence that names those that are not.
pub(super) fn all_live(engines: &BTreeMap<Rank, Engine>, targets: &[Rank]) -> Result<(), String> {
    let lives = |rank: &&Rank| engines.get(rank).is_some_and(Engine::lives);
    let missing: Vec<Rank> = targets.iter().filter(|rank| !lives(rank)).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    let verb = if missing.len() == 1 { "is" } else { "are" };
    Err(format!("{} {verb} not there", named(&missing)))
}
