//! The tasks that have not begun, and taking them back.
//!
//! **Invariant**: a task begins or is taken back, never both: [`Ledger`] decides under one lock. Each that was
//! taken back comes out of [`Queue::next`] all the same, in its turn, so that its end is reported like any other.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fabric::comm::Inbox;
use fabric::message::task::{Task, TaskId, Work};

/// The tasks before Python's main thread, which alone takes them.
pub(super) struct Queue {
    inbox: Inbox,
    waiting: VecDeque<Task>,
}

/// What is known of which tasks have begun; shared with the thread that listens to the kernel.
#[derive(Default)]
pub(super) struct Ledger {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The highest task that has begun.
    begun: TaskId,
    /// The highest task that has ended.
    ended: TaskId,
    /// Tasks that will not begin.
    taken_back: BTreeSet<TaskId>,
}

impl Ledger {
    /// Takes back those that have not begun: those, and the others. Tasks come in the order of their numbers.
    pub(super) fn cancel(&self, tasks: &[TaskId]) -> (Vec<TaskId>, Vec<TaskId>) {
        let mut state = self.state();
        let (cancelled, begun): (Vec<TaskId>, Vec<TaskId>) =
            tasks.iter().partition(|task| **task > state.begun);
        state.taken_back.extend(&cancelled);
        (cancelled, begun)
    }

    /// A task has ended; its end is about to be reported.
    pub(super) fn end(&self, task: TaskId) {
        let mut state = self.state();
        state.ended = state.ended.max(task);
    }

    /// The highest task that has ended.
    pub(super) fn ended(&self) -> TaskId {
        self.state().ended
    }

    /// The task's turn has come: whether it may begin.
    fn begin(&self, task: TaskId) -> bool {
        let mut state = self.state();
        if state.taken_back.remove(&task) {
            return false;
        }
        state.begun = state.begun.max(task);
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the next turn is.
pub(super) enum Turn {
    /// This task is to be done.
    Begin(Task),
    /// This task was taken back.
    Aborted(TaskId),
}

impl Queue {
    pub(super) fn new(inbox: Inbox) -> Queue {
        Queue { inbox, waiting: VecDeque::new() }
    }

    /// Waits for the next turn; `None` when there will be none.
    pub(super) fn next(&mut self, ledger: &Ledger) -> Option<Turn> {
        let task = match self.waiting.pop_front() {
            Some(task) => task,
            None => self.inbox.recv()?,
        };
        Some(if ledger.begin(task.id) { Turn::Begin(task) } else { Turn::Aborted(task.id) })
    }

    /// A cell failed: the cells that were sent behind it are not run
    /// ([messaging, "Execution results"](https://jupyter-client.readthedocs.io/en/stable/messaging.html#execution-results)).
    pub(super) fn abort_cells(&mut self, ledger: &Ledger) {
        self.waiting.extend(self.inbox.arrived());
        let cells = self.waiting.iter().filter(|task| matches!(task.work, Work::Execute { .. }));
        // The wake-up that names no task is not taken back: its number is below all others.
        let cells: Vec<TaskId> = cells.map(|task| task.id).collect();
        ledger.cancel(&cells);
    }
}
