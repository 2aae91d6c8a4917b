//! The tasks that can be given to engines, in order.
//!
//! **Invariant**: however many wait, the next one is found by a look at the first of each line, and there
//! are as many lines as there are differences in where tasks may run: few.

use std::collections::BTreeMap;

use super::Ticket;
use super::task::{Balanced, Lane};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ready {
    lanes: BTreeMap<Lane, BTreeMap<u64, Ticket>>,
    count: usize,
    /// How many places were given.
    places: u64,
}

impl Ready {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Puts a task in: behind all others, or where it stood when it came back from an engine.
    pub(super) fn put(&mut self, ticket: Ticket, task: &mut Balanced) {
        self.take(task);
        let place = *task.place.get_or_insert_with(|| {
            self.places += 1;
            self.places
        });
        task.is_ready = true;
        self.lanes.entry(task.lane()).or_default().insert(place, ticket);
        self.count += 1;
    }

    /// Takes a task out; whether it was in. Where it may run must be what it was when it came.
    pub(super) fn take(&mut self, task: &mut Balanced) -> bool {
        let Some(place) = task.place.filter(|_| task.is_ready) else { return false };
        task.is_ready = false;
        let lane = task.lane();
        if let Some(line) = self.lanes.get_mut(&lane) {
            line.remove(&place);
            if line.is_empty() {
                self.lanes.remove(&lane);
            }
        }
        self.count -= 1;
        true
    }

    /// What `choose` makes of the first task, in order, of which it makes something.
    pub(super) fn first<T>(&self, choose: impl Fn(&Lane) -> Option<T>) -> Option<(Ticket, T)> {
        let heads = self.lanes.iter().filter_map(|(lane, line)| Some((lane, line.first_key_value()?)));
        let chosen = heads.filter_map(|(lane, head)| Some((head, choose(lane)?)));
        chosen.min_by_key(|((place, _), _)| **place).map(|((_, ticket), made)| (*ticket, made))
    }

    pub(super) fn tickets(&self) -> impl Iterator<Item = Ticket> {
        self.lanes.values().flat_map(|line| line.values().copied())
    }
}
