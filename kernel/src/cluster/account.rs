//! What became of tasks and reports that were on their way over rank 0 when it died, or left MPI.
//!
//! **Invariant**: once nothing more can come from the gateway, each living engine says once which tasks it has; what
//! it neither has nor has reported is lost, and is said to be.

use std::collections::BTreeSet;

use fabric::message::Rank;
use fabric::message::lifeline::Status;
use fabric::message::task::TaskId;

use super::own::Own;
use super::{Engine, Notice, Output, State};

/// Who still has to give account.
#[derive(Debug, Default)]
pub(super) struct Account {
    begun: bool,
    waiting: BTreeSet<Rank>,
}

impl Own {
    /// Asks for account if rank 0 passes nothing on any more, and all that it passed on has been read.
    pub(super) fn ask_for_account(&mut self, out: &mut Output) {
        // How it ends is known in a moment.
        let vanished =
            self.engines.get(&0).is_none_or(|engine| matches!(engine.state, State::Vanished { .. }));
        if vanished || !self.phase.is_up() || self.gateway.is_some() || self.account.begun {
            return;
        }
        let waiting = self.engines.values().filter(|engine| engine.lives()).map(Engine::rank).collect();
        self.account = Account { begun: true, waiting };
        self.ask_status(out);
    }

    /// An engine says what it has.
    pub(super) fn give_account(&mut self, rank: Rank, status: &Status, out: &mut Output) {
        if !self.account.waiting.remove(&rank) {
            return;
        }
        let has = |task: TaskId| task > status.ended && task <= status.arrived;
        let lost: Vec<TaskId> = self
            .flights
            .iter()
            .filter(|(task, flight)| flight.carried && flight.waiting.contains(&rank) && !has(**task))
            .map(|(task, _)| *task)
            .collect();
        for task in lost {
            let what = if task <= status.ended { "what it reported" } else { "the task" };
            let why = format!(
                "engine {rank} lives, but {what} was lost on the way over engine 0, which passes nothing on any more; \
                 {} starts afresh",
                self.restart,
            );
            out.notices.push(Notice::Lost { task, rank, why, lives: true });
            if let Some(engine) = self.engines.get_mut(&rank) {
                engine.tasks.retain(|given| *given != task);
            }
            self.land(task, rank, out);
        }
    }
}
