//! Load balancing: which engine gets which task, and when it is taken back to be given to another.
//!
//! Engines hold a few tasks ahead, so that a short one is followed by the next at once; how many depends on how long
//! tasks took there. What waits behind a task that takes longer is taken back.
//!
//! **Invariant**: pure; a task is at one engine at most, and on none twice but after it was taken back unbegun.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use fabric::message::Rank;
use fabric::message::client::{Dependency, Told};
use fabric::message::task::{TaskId, Work};

/// How much work an engine may hold, in seconds.
const AHEAD: f64 = 0.020;

/// How many tasks an engine may hold.
const MOST_AHEAD: usize = 64;

/// How long a task may keep others waiting, at least; and how many times the usual duration.
const PATIENCE: Duration = Duration::from_millis(5);
const USUAL: f64 = 3.0;

/// How much waiting is worth taking a task back from an engine when another has nothing to do, in seconds.
const WORTH: f64 = 0.002;

/// Names a task here.
pub(super) type Ticket = u64;

/// A task that any engine may do.
#[derive(Debug)]
pub(super) struct Balanced {
    pub(super) name: String,
    pub(super) label: String,
    pub(super) work: Work,
    /// The memory files of its submission.
    pub(super) files: Vec<u32>,
    /// Where it may run; `None`: anywhere.
    pub(super) targets: Option<BTreeSet<Rank>>,
    /// How often it may still fail and be tried again.
    pub(super) retries: u32,
    /// When it must have been given to an engine.
    pub(super) deadline: Option<Instant>,
    pub(super) after: Option<Dependency>,
    pub(super) follow: Option<Dependency>,
    /// Where it was tried and failed.
    pub(super) tried: BTreeSet<Rank>,
    /// Where what it requires does not hold.
    pub(super) unmet: BTreeSet<Rank>,
    /// How the last try ended, not told while there may be another one.
    pub(super) failure: Option<Told>,
    /// It ended, or is not to be tried again.
    pub(super) last_try: bool,
    /// It was given to an engine once.
    pub(super) given: bool,
    /// It can be given to an engine.
    pub(super) ready: bool,
}

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
    /// What can be given to engines, in order.
    ready: VecDeque<Ticket>,
    /// What depends on others that have not ended.
    pub(super) depending: BTreeSet<Ticket>,
    loads: BTreeMap<Rank, Load>,
    there: HashMap<TaskId, (Ticket, Rank)>,
}

/// What an engine holds.
#[derive(Debug)]
struct Load {
    tasks: VecDeque<TaskId>,
    /// Those that are to be taken back.
    recalled: BTreeSet<TaskId>,
    /// How long tasks take there, in seconds.
    usual: Option<f64>,
    /// When something last began there, as far as is known.
    progress: Instant,
}

/// What an engine can be given.
struct Room {
    rank: Rank,
    /// It has tasks that are none of ours.
    foreign: bool,
    /// How many it holds; `None`: it can be given no more.
    held: Option<usize>,
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
        self.tasks.insert(self.last, task);
        self.depending.insert(self.last);
        self.last
    }

    /// What a task depends on has come true.
    pub(super) fn release(&mut self, ticket: Ticket) {
        if self.depending.remove(&ticket) {
            self.set_ready(ticket, true);
            self.ready.push_back(ticket);
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

    /// Whether an attempt is to be taken back for another engine.
    pub(super) fn is_recalled(&self, task: TaskId) -> bool {
        let place = self.there.get(&task).and_then(|(_, rank)| self.loads.get(rank));
        place.is_some_and(|load| load.recalled.contains(&task))
    }

    /// What no engine has: to be refused, or taken back.
    pub(super) fn not_given(&self) -> Vec<Ticket> {
        self.ready.iter().chain(&self.depending).copied().collect()
    }

    /// How many tasks no engine has.
    pub(super) fn waiting(&self) -> usize {
        self.ready.len() + self.depending.len()
    }

    /// A task is over.
    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Balanced> {
        self.depending.remove(&ticket);
        let task = self.tasks.remove(&ticket)?;
        if task.ready {
            self.ready.retain(|ready| *ready != ticket);
        }
        Some(task)
    }

    fn set_ready(&mut self, ticket: Ticket, ready: bool) {
        if let Some(task) = self.tasks.get_mut(&ticket) {
            task.ready = ready;
        }
    }

    /// What to do next, if there is something to do and an engine that can be given more.
    pub(super) fn next(&mut self, seats: &[Seat], now: Instant) -> Option<Fate> {
        if self.ready.is_empty() {
            return None;
        }
        let rooms: Vec<Room> = seats.iter().map(|seat| self.room(*seat, now)).collect();
        if !rooms.is_empty() && rooms.iter().all(|room| room.held.is_none()) {
            return None;
        }
        let mut chosen = None;
        for (place, ticket) in self.ready.iter().enumerate() {
            let Some(task) = self.tasks.get(ticket) else { continue };
            let allowed: Vec<&Room> = rooms.iter().filter(|room| task.may_run(room.rank)).collect();
            if allowed.is_empty() {
                chosen = Some((place, Fate::Hopeless(*ticket)));
                break;
            }
            // Behind a task that is none of ours only where there is no other way.
            let only_busy = allowed.iter().all(|room| room.foreign);
            let usable = |room: &&&Room| !room.foreign || (only_busy && room.held == Some(0));
            let free =
                allowed.iter().filter(usable).filter_map(|room| room.held.map(|held| (held, room.rank)));
            if let Some((_, rank)) = free.min() {
                chosen = Some((place, Fate::Give(*ticket, rank)));
                break;
            }
        }
        let (place, fate) = chosen?;
        if let Some(ticket) = self.ready.remove(place) {
            self.set_ready(ticket, false);
        }
        Some(fate)
    }

    /// The engine has been given the task, under this number.
    pub(super) fn given(&mut self, ticket: Ticket, task: TaskId, rank: Rank, now: Instant) {
        if let Some(balanced) = self.tasks.get_mut(&ticket) {
            balanced.given = true;
        }
        let load = self.loads.entry(rank).or_insert_with(|| Load::new(now));
        if load.tasks.is_empty() {
            load.progress = now;
        }
        load.tasks.push_back(task);
        self.there.insert(task, (ticket, rank));
    }

    /// An engine has ended one of its tasks, after so many seconds if it ran.
    pub(super) fn measured(&mut self, task: TaskId, seconds: Option<f64>, now: Instant) {
        let Some((_, rank)) = self.there.get(&task) else { return };
        let Some(load) = self.loads.get_mut(rank) else { return };
        if let Some(seconds) = seconds {
            load.progress = now;
            load.usual = Some(load.usual.map_or(seconds, |usual| usual.mul_add(0.8, 0.2 * seconds)));
        }
    }

    /// An attempt is over: the task it was. With `again` the task is to be done again, before all others.
    pub(super) fn ended(&mut self, task: TaskId, again: bool) -> Option<Ticket> {
        let (ticket, rank) = self.there.remove(&task)?;
        if let Some(load) = self.loads.get_mut(&rank) {
            load.tasks.retain(|held| *held != task);
            load.recalled.remove(&task);
        }
        if again {
            self.set_ready(ticket, true);
            self.ready.push_front(ticket);
        }
        Some(ticket)
    }

    /// What is to be taken back, because it waits where it need not.
    pub(super) fn recall(&mut self, seats: &[Seat], now: Instant) -> Vec<TaskId> {
        if seats.len() < 2 {
            return Vec::new();
        }
        let idle = seats.iter().any(|seat| seat.queued == 0);
        let tail = self.ready.is_empty() && idle;
        let mut recalled = Vec::new();
        for seat in seats {
            let Some(load) = self.loads.get_mut(&seat.rank) else { continue };
            let foreign = seat.queued > load.tasks.len();
            let behind = usize::from(!foreign);
            let waiting: Vec<TaskId> = load
                .tasks
                .iter()
                .skip(behind)
                .filter(|task| !load.recalled.contains(task))
                .copied()
                .collect();
            let back = if load.is_stuck(now) {
                waiting
            } else if tail && load.wait(waiting.len()) > WORTH {
                waiting.last().copied().into_iter().collect()
            } else {
                Vec::new()
            };
            // What may run nowhere else stays.
            let back = back.into_iter().filter(|task| {
                let task = self.there.get(task).and_then(|(ticket, _)| self.tasks.get(ticket));
                task.is_some_and(|task| {
                    seats.iter().any(|other| other.rank != seat.rank && task.may_run(other.rank))
                })
            });
            let back: Vec<TaskId> = back.collect();
            load.recalled.extend(&back);
            recalled.extend(back);
        }
        recalled
    }

    /// When [`Balance::recall`] or a task's own limit is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let limit = |ticket: &Ticket| self.tasks.get(ticket).filter(|task| !task.given)?.deadline;
        let limits = self.ready.iter().chain(&self.depending).filter_map(limit);
        let several = self.loads.len() > 1;
        let stuck = self.loads.values().filter(|load| several && load.tasks.len() > load.recalled.len() + 1);
        let stuck = stuck.filter(|load| load.recalled.is_empty()).map(|load| load.progress + load.patience());
        limits.chain(stuck).min()
    }

    /// Tasks that should have been given to an engine by now.
    pub(super) fn too_late(&self, now: Instant) -> Vec<Ticket> {
        let late = |ticket: &&Ticket| {
            self.tasks
                .get(ticket)
                .is_some_and(|task| !task.given && task.deadline.is_some_and(|at| at <= now))
        };
        self.ready.iter().chain(&self.depending).filter(late).copied().collect()
    }

    /// Names of the tasks that an engine holds.
    pub(super) fn held_by(&self, rank: Rank) -> Vec<&str> {
        let tasks = self.loads.get(&rank).map(|load| &load.tasks);
        let tickets = tasks.into_iter().flatten().filter_map(|task| self.ticket(*task));
        tickets.filter_map(|ticket| self.tasks.get(&ticket)).map(|task| task.name.as_str()).collect()
    }

    /// The task with this name, and its attempt under way.
    pub(super) fn named(&self, name: &str) -> Option<Ticket> {
        self.tasks.iter().find(|(_, task)| task.name == name).map(|(ticket, _)| *ticket)
    }

    /// Whether the engine can be given more.
    fn room(&self, seat: Seat, now: Instant) -> Room {
        let load = self.loads.get(&seat.rank);
        let held = load.map_or(0, |load| load.tasks.len());
        let window = load.map_or(1, |load| if load.is_stuck(now) { 1 } else { load.window() });
        Room { rank: seat.rank, foreign: seat.queued > held, held: (held < window).then_some(held) }
    }
}

impl Balanced {
    /// Whether this engine may still be given the task.
    pub(super) fn may_run(&self, rank: Rank) -> bool {
        self.targets.as_ref().is_none_or(|targets| targets.contains(&rank))
            && !self.tried.contains(&rank)
            && !self.unmet.contains(&rank)
    }
}

impl Load {
    fn new(now: Instant) -> Load {
        Load { tasks: VecDeque::new(), recalled: BTreeSet::new(), usual: None, progress: now }
    }

    /// How many tasks it may hold.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 64")]
    fn window(&self) -> usize {
        self.usual.map_or(1, |usual| (AHEAD / usual.max(1e-6)).ceil().clamp(1.0, MOST_AHEAD as f64) as usize)
    }

    /// How long it may take until the next task ends.
    fn patience(&self) -> Duration {
        PATIENCE.max(Duration::try_from_secs_f64(USUAL * self.usual.unwrap_or_default()).unwrap_or(PATIENCE))
    }

    fn is_stuck(&self, now: Instant) -> bool {
        !self.tasks.is_empty() && self.progress + self.patience() <= now
    }

    /// How long the last of so many may wait, in seconds.
    fn wait(&self, waiting: usize) -> f64 {
        self.usual.unwrap_or_default() * f64::from(u32::try_from(waiting).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests;
