//! Rank 0's account of the tasks under way: which targets have not said that they are done.
//!
//! **Invariant**: a task is here as long as one living target owes its `Done`; pure, no I/O.

use std::collections::{BTreeMap, BTreeSet};

use crate::message::Rank;
use crate::message::task::TaskId;

/// The tasks under way.
#[derive(Debug, Default)]
pub(super) struct Roster {
    tasks: BTreeMap<TaskId, Open>,
    /// How many tasks a rank has that it is not done with.
    ahead: BTreeMap<Rank, usize>,
}

#[derive(Debug)]
struct Open {
    targets: BTreeSet<Rank>,
    owing: BTreeSet<Rank>,
}

/// A task whose targets are all done or dead, and the living ones to tell.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Settled {
    pub(super) task: TaskId,
    pub(super) targets: Vec<Rank>,
}

impl Roster {
    /// A task was fanned out. One with a single target has nobody to wait for.
    pub(super) fn open(&mut self, task: TaskId, targets: &[Rank]) {
        targets.iter().for_each(|rank| *self.ahead.entry(*rank).or_default() += 1);
        if targets.len() > 1 {
            let targets: BTreeSet<_> = targets.iter().copied().collect();
            self.tasks.insert(task, Open { owing: targets.clone(), targets });
        }
    }

    /// Tasks were handed to one rank.
    pub(super) fn hand(&mut self, rank: Rank, tasks: usize) {
        *self.ahead.entry(rank).or_default() += tasks;
    }

    /// Whether the rank has something to do that it was handed already.
    pub(super) fn is_busy(&self, rank: Rank) -> bool {
        self.ahead.get(&rank).is_some_and(|ahead| *ahead > 0)
    }

    /// `rank` is done with `task`.
    pub(super) fn done(&mut self, task: TaskId, rank: Rank) -> Option<Settled> {
        if let Some(ahead) = self.ahead.get_mut(&rank) {
            *ahead = ahead.saturating_sub(1);
        }
        self.settle(task, rank)
    }

    fn settle(&mut self, task: TaskId, rank: Rank) -> Option<Settled> {
        let open = self.tasks.get_mut(&task)?;
        open.owing.remove(&rank);
        if !open.owing.is_empty() {
            return None;
        }
        let open = self.tasks.remove(&task)?;
        Some(Settled { task, targets: open.targets.into_iter().collect() })
    }

    /// `rank` has died: nothing is expected of it, and it is not told.
    pub(super) fn lose(&mut self, rank: Rank) -> Vec<Settled> {
        let concerned: Vec<_> = self
            .tasks
            .iter_mut()
            .filter_map(|(task, open)| open.targets.remove(&rank).then_some(*task))
            .collect();
        self.ahead.remove(&rank);
        concerned.into_iter().filter_map(|task| self.settle(task, rank)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settled_when_the_last_is_done() {
        let mut roster = Roster::default();
        roster.open(1, &[0, 2, 3]);
        roster.open(2, &[1]);
        assert_eq!(roster.done(1, 2), None);
        assert_eq!(roster.done(1, 2), None);
        assert_eq!(roster.done(2, 1), None);
        assert_eq!(roster.done(1, 0), None);
        assert_eq!(roster.done(1, 3), Some(Settled { task: 1, targets: vec![0, 2, 3] }));
        assert_eq!(roster.done(1, 3), None);
    }

    #[test]
    fn who_has_more_to_do_is_busy() {
        let mut roster = Roster::default();
        roster.open(1, &[0, 1]);
        roster.hand(1, 2);
        assert!(roster.is_busy(0) && roster.is_busy(1) && !roster.is_busy(2));
        assert_eq!((roster.done(1, 0), roster.done(2, 1)), (None, None));
        assert!(!roster.is_busy(0) && roster.is_busy(1));
        assert!(roster.done(1, 1).is_some() && roster.is_busy(1));
        assert_eq!((roster.done(3, 1), roster.is_busy(1)), (None, false));
        roster.hand(2, 5);
        assert!(roster.lose(2).is_empty() && !roster.is_busy(2));
    }

    #[test]
    fn the_dead_are_not_waited_for() {
        let mut roster = Roster::default();
        roster.open(1, &[0, 1]);
        roster.open(2, &[0, 1, 2]);
        roster.open(3, &[0, 2]);
        assert_eq!(roster.done(1, 0), None);
        assert_eq!(roster.lose(1), [Settled { task: 1, targets: vec![0] }]);
        assert_eq!(roster.done(2, 0), None);
        assert_eq!(roster.done(2, 2), Some(Settled { task: 2, targets: vec![0, 2] }));
        assert_eq!(roster.lose(1), []);
    }
}
