//! Load balancing: which engine gets which task, and when it is taken back to be given to another.
//!
//! Engines hold a few tasks ahead, so that a short one is followed by the next at once; how many depends on how long
//! tasks took there. They are given more when half of that is done, so that short tasks travel many at a time.
//! What waits behind a task that takes longer is taken back, and so is a task for an engine that has nothing to do.
//!
//! **Invariant**: pure; a task is at one engine at most, and on none twice but after it was taken back unbegun. What
//! a step costs does not grow with the number of tasks that wait.

mod load;
mod ready;
mod task;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use fabric::message::Rank;
use fabric::message::task::TaskId;

use load::Load;
use ready::Ready;
pub(super) use task::Balanced;
use task::Lane;

/// Names a task here.
pub(super) type Ticket = u64;

/// An engine that can be given tasks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seat {
    pub(super) rank: Rank,
    /// How many tasks it has, of all kinds.
    pub(super) queued: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Balance {
    last: Ticket,
    tasks: BTreeMap<Ticket, Balanced>,
    names: HashMap<String, Ticket>,
    /// What can be given to engines.
    ready: Ready,
    /// What depends on others that have not ended.
    depending: BTreeSet<Ticket>,
    /// Of those that no engine was ever given: when they must have been.
    limits: BTreeSet<(Instant, Ticket)>,
    loads: BTreeMap<Rank, Load>,
    there: HashMap<TaskId, (Ticket, Rank)>,
    /// How many tasks were given to engines.
    turns: u64,
}

/// What an engine can be given.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) rank: Rank,
    /// It has tasks that are none of ours.
    foreign: bool,
    /// How many it holds; `None`: it can be given no more.
    held: Option<usize>,
    /// When it was last given something, counted in tasks.
    turn: u64,
}

/// What is to become of a task.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Give it to this engine.
    Give(Ticket, Rank),
    /// No engine is left that has not tried or refused it.
    Hopeless(Ticket),
}

impl Balance {
    /// Takes a task in; it waits until [`Balance::release`].
    pub(super) fn add(&mut self, task: Balanced) -> Ticket {
        self.last += 1;
        let ticket = self.last;
        self.limits.extend(task.deadline.map(|deadline| (deadline, ticket)));
        self.names.insert(task.name.clone(), ticket);
        self.tasks.insert(ticket, task);
        self.depending.insert(ticket);
        ticket
    }

    /// What a task depends on has come true.
    pub(super) fn release(&mut self, ticket: Ticket) {
        if self.depending.remove(&ticket)
            && let Some(task) = self.tasks.get_mut(&ticket)
        {
            self.ready.put(ticket, task);
        }
    }

    pub(super) fn get_mut(&mut self, ticket: Ticket) -> Option<&mut Balanced> {
        self.tasks.get_mut(&ticket)
    }

    pub(super) fn get(&self, ticket: Ticket) -> Option<&Balanced> {
        self.tasks.get(&ticket)
    }

    /// The task that an engine has under this number.
    pub(super) fn ticket(&self, task: TaskId) -> Option<Ticket> {
        self.there.get(&task).map(|(ticket, _)| *ticket)
    }

    /// The task with this name.
    pub(super) fn named(&self, name: &str) -> Option<Ticket> {
        self.names.get(name).copied()
    }

    /// Whether an attempt is to be taken back for another engine.
    pub(super) fn is_recalled(&self, task: TaskId) -> bool {
        let place = self.there.get(&task).and_then(|(_, rank)| self.loads.get(rank));
        place.is_some_and(|load| load.recalled.contains(&task))
    }

    /// Whether the task waits for others to end.
    pub(super) fn depends(&self, ticket: Ticket) -> bool {
        self.depending.contains(&ticket)
    }

    /// Whether an engine has the task.
    pub(super) fn is_given(&self, ticket: Ticket) -> bool {
        !self.depends(ticket) && self.get(ticket).is_some_and(|task| !task.is_ready)
    }

    /// What no engine has.
    pub(super) fn not_given(&self) -> Vec<Ticket> {
        self.ready.tickets().chain(self.depending.iter().copied()).collect()
    }

    /// How many tasks no engine has.
    pub(super) fn waiting(&self) -> usize {
        self.ready.len() + self.depending.len()
    }

    /// A task is over.
    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Balanced> {
        self.depending.remove(&ticket);
        let mut task = self.tasks.remove(&ticket)?;
        self.ready.take(&mut task);
        self.names.remove(&task.name);
        self.forget_limit(ticket, &task);
        Some(task)
    }

    /// What engines can be given at the moment.
    pub(super) fn rooms(&self, seats: &[Seat], now: Instant) -> Vec<Room> {
        let room = |seat: &Seat| {
            let (held, turn) =
                self.loads.get(&seat.rank).map_or((0, 0), |load| (load.tasks.len(), load.turn));
            Room { rank: seat.rank, foreign: seat.queued > held, held: self.room(seat.rank, now), turn }
        };
        seats.iter().map(room).collect()
    }

    /// What to do next, if there is something to do and an engine that can be given more.
    pub(super) fn next(&mut self, rooms: &[Room]) -> Option<Fate> {
        let (ticket, rank) = self.ready.first(|lane| choose(lane, rooms))?;
        if let Some(task) = self.tasks.get_mut(&ticket) {
            self.ready.take(task);
        }
        Some(rank.map_or(Fate::Hopeless(ticket), |rank| Fate::Give(ticket, rank)))
    }

    /// Looks again at an engine's room, which has been given something.
    pub(super) fn look_again(&self, rooms: &mut [Room], rank: Rank, now: Instant) {
        for room in rooms.iter_mut().filter(|room| room.rank == rank) {
            room.held = self.room(rank, now);
            room.turn = self.turns;
        }
    }

    /// The engine has been given the task, under this number.
    pub(super) fn given(&mut self, ticket: Ticket, task: TaskId, rank: Rank, now: Instant) {
        self.turns += 1;
        self.loads.entry(rank).or_insert_with(|| Load::new(now)).give(task, self.turns, now);
        self.there.insert(task, (ticket, rank));
        if let Some(deadline) = self.tasks.get_mut(&ticket).and_then(|task| task.deadline.take()) {
            self.limits.remove(&(deadline, ticket));
        }
    }

    /// An engine has ended one of its tasks, after so many seconds if it ran.
    pub(super) fn measured(&mut self, task: TaskId, seconds: Option<f64>, now: Instant) {
        let load = self.there.get(&task).and_then(|(_, rank)| self.loads.get_mut(rank));
        if let (Some(load), Some(seconds)) = (load, seconds) {
            load.measured(seconds, now);
        }
    }

    /// An engine had begun with these when they were to be taken back.
    pub(super) fn kept(&mut self, rank: Rank, begun: &[TaskId]) {
        if let Some(load) = self.loads.get_mut(&rank) {
            load.kept(begun);
        }
    }

    /// An attempt is over: the task it was. With `again` the task is to be done again, in its turn.
    pub(super) fn ended(&mut self, task: TaskId, again: bool) -> Option<Ticket> {
        let (ticket, rank) = self.there.remove(&task)?;
        if let Some(load) = self.loads.get_mut(&rank) {
            load.drop_task(task);
        }
        if again && let Some(task) = self.tasks.get_mut(&ticket) {
            self.ready.put(ticket, task);
        }
        Some(ticket)
    }

    /// What is to be taken back, because it waits where it need not: all behind a task that takes long, and of others
    /// one for each engine that has nothing to do. To be asked when nothing more can be given.
    pub(super) fn recall(&mut self, seats: &[Seat], now: Instant) -> Vec<TaskId> {
        let coming: usize = self.loads.values().map(|load| load.recalled.len()).sum();
        let mut wanted = seats.iter().filter(|seat| seat.queued == 0).count().saturating_sub(coming);
        let mut recalled = Vec::new();
        for seat in seats {
            let Some(load) = self.loads.get(&seat.rank) else { continue };
            let stuck = load.is_stuck(now);
            if !stuck && wanted == 0 {
                continue;
            }
            // What may run nowhere else stays, and what may wait a little here or there.
            let others = seats.iter().filter(|other| other.rank != seat.rank && (stuck || other.queued == 0));
            let others: Vec<Rank> = others.map(|other| other.rank).collect();
            let waiting = load.waiting(seat.queued > load.tasks.len());
            let mut movable = waiting.filter(|task| {
                let balanced = self.there.get(task).and_then(|(ticket, _)| self.tasks.get(ticket));
                balanced.is_some_and(|balanced| others.iter().any(|rank| balanced.may_run(*rank)))
            });
            if stuck {
                recalled.extend(movable);
            } else if load.is_long()
                && let Some(task) = movable.next_back()
            {
                wanted -= 1;
                recalled.push(task);
            }
        }
        for task in &recalled {
            if let Some(load) = self.there.get(task).and_then(|(_, rank)| self.loads.get_mut(rank)) {
                load.recalled.insert(*task);
            }
        }
        recalled
    }

    /// The time of [`Balance::deadline`] has come; [`Balance::recall`] follows.
    pub(super) fn look(&mut self, now: Instant) {
        self.loads.values_mut().for_each(|load| load.look(now));
    }

    /// When [`Balance::recall`] or a task's own limit is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let limit = self.limits.first().map(|(deadline, _)| *deadline);
        let several = self.loads.len() > 1;
        let stuck = self.loads.values().filter(|_| several).filter_map(Load::deadline);
        stuck.chain(limit).min()
    }

    /// Tasks that should have been given to an engine by now.
    pub(super) fn too_late(&self, now: Instant) -> Vec<Ticket> {
        self.limits.iter().take_while(|(deadline, _)| *deadline <= now).map(|(_, ticket)| *ticket).collect()
    }

    /// Names of the tasks that an engine holds.
    pub(super) fn held_by(&self, rank: Rank) -> Vec<&str> {
        let tasks = self.loads.get(&rank).map(|load| &load.tasks);
        let tickets = tasks.into_iter().flatten().filter_map(|task| self.ticket(*task));
        tickets.filter_map(|ticket| self.tasks.get(&ticket)).map(|task| task.name.as_str()).collect()
    }

    /// How many tasks the engine holds, if it can be given more.
    fn room(&self, rank: Rank, now: Instant) -> Option<usize> {
        self.loads.get(&rank).map_or(Some(0), |load| load.takes_more(now).then_some(load.tasks.len()))
    }

    fn forget_limit(&mut self, ticket: Ticket, task: &Balanced) {
        if let Some(deadline) = task.deadline {
            self.limits.remove(&(deadline, ticket));
        }
    }
}

/// The engine for the first task of a line; `Some(None)`: there is none and will be none; `None`: not now.
fn choose(lane: &Lane, rooms: &[Room]) -> Option<Option<Rank>> {
    let allowed = || rooms.iter().filter(|room| lane.allows(room.rank));
    if allowed().next().is_none() {
        return Some(None);
    }
    // Behind a task that is none of ours only where there is no other way.
    let only_busy = allowed().all(|room| room.foreign);
    let usable = |room: &&Room| !room.foreign || (only_busy && room.held == Some(0));
    // Of those with as little to do, the one whose turn is longest past: who calls one by one sees all engines.
    let free = allowed().filter(usable).filter_map(|room| room.held.map(|held| (held, room.turn, room.rank)));
    free.min().map(|(.., rank)| Some(rank))
}

#[cfg(test)]
mod tests;
