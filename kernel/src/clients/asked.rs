//! What code on engines asks a person (`input()`), and what a cell's threads still say when it is over: passed on to
//! the kernel whose notebook the code is of.
//!
//! **Invariant**: a question that was passed on is answered, or its task ends: if the kernel goes, its questions are
//! answered in its place, so that no engine waits for a person who is not there any more.

use std::collections::{BTreeMap, VecDeque};

use fabric::message::Rank;
use fabric::message::client::Told;
use fabric::message::report::Event;
use fabric::message::task::TaskId;

use super::{ClientId, Clients, Core};
use crate::cluster::Notice;

/// Why nobody can be asked for input.
pub(crate) const NOBODY: &str = "this engine asks for input, but it belongs to no notebook: nobody can be asked; give \
                                 what it needs as an argument";

/// Of how many cells that are over it is known whose they were.
const REMEMBERED: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Whom a question of an engine was passed on to, and the task that asks.
    waiting: BTreeMap<(Rank, u64), (ClientId, TaskId)>,
    /// The last cells that are over, by their names, and their kernels.
    over: VecDeque<(TaskId, String, ClientId)>,
}

impl Clients {
    /// Passes a question on to the kernel that can put it to a person; false when there is none.
    pub fn pass_on(&mut self, task: TaskId, rank: Rank, event: &Event) -> bool {
        let (Event::Ask { question, .. }, Some(name)) = (event, self.name_of(task)) else { return false };
        let Some(kernel) = self.store.get(&name).and_then(|record| record.asker) else { return false };
        self.asked.waiting.insert((rank, *question), (kernel, task));
        self.tell(kernel, Told::Report { name, rank, event: event.clone() });
        true
    }

    /// Whether a task is, or was, another notebook's.
    #[must_use]
    pub fn is_elsewhere(&self, task: TaskId) -> bool {
        let record = self.name_of(task).and_then(|name| self.store.get(&name));
        record.is_some_and(|record| record.asker.is_some())
            || self.asked.over.iter().any(|(over, ..)| *over == task)
    }

    /// A question that was passed on has been answered.
    pub(super) fn input(
        &mut self,
        rank: Rank,
        question: u64,
        answer: Result<String, String>,
        core: &mut Core<'_>,
    ) {
        if self.asked.waiting.remove(&(rank, question)).is_some() {
            core.cluster.answer(rank, question, answer, core.out);
        }
    }

    /// A task has ended on an engine: what it asked there needs no answer.
    pub(super) fn forget_questions(&mut self, task: TaskId, rank: Rank) {
        if !self.asked.waiting.is_empty() {
            self.asked.waiting.retain(|(asker, _), (_, asking)| *asker != rank || *asking != task);
        }
    }

    /// A kernel has gone: nobody can be asked any more.
    pub(super) fn answer_in_place_of(&mut self, client: ClientId, core: &mut Core<'_>) {
        let (gone, waiting) = std::mem::take(&mut self.asked.waiting)
            .into_iter()
            .partition(|(_, (kernel, _))| *kernel == client);
        self.asked.waiting = waiting;
        self.asked.over.retain(|(_, _, kernel)| *kernel != client);
        let gone: BTreeMap<(Rank, u64), (ClientId, TaskId)> = gone;
        for (rank, question) in gone.into_keys() {
            core.cluster.answer(rank, question, Err(NOBODY.to_owned()), core.out);
        }
    }

    /// A cell is over, but its threads and children may still write.
    pub(super) fn expect_more(&mut self, task: TaskId, name: &str) {
        let Some(kernel) = self.store.get(name).and_then(super::results::Record::kernel) else { return };
        self.asked.over.push_back((task, name.to_owned(), kernel));
        if self.asked.over.len() > REMEMBERED {
            self.asked.over.pop_front();
        }
    }

    /// Passes on what came of a cell after its end; false when it was none of another kernel's. Values are not
    /// passed on: nobody holds them any more.
    pub(super) fn pass_on_late(&mut self, notice: &Notice) -> bool {
        let Notice::Report { task, rank, event } = notice else { return false };
        let of_task = self.asked.over.iter().find(|(over, ..)| over == task);
        let Some((_, name, kernel)) = of_task.filter(|_| event.payload().is_none()) else { return false };
        let (name, kernel) = (name.clone(), *kernel);
        self.tell(kernel, Told::Report { name, rank: *rank, event: event.clone() });
        true
    }
}
