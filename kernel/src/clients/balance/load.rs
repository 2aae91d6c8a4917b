//! What one engine holds of the tasks that any may do, and how much more it may hold.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use fabric::message::task::TaskId;

/// How much work an engine may hold, in seconds.
const AHEAD: f64 = 0.020;

/// How many tasks an engine may hold.
const MOST_AHEAD: usize = 64;

/// How long a task may keep others waiting, at least; and how many times the usual duration.
pub(super) const PATIENCE: Duration = Duration::from_millis(5);
const USUAL: f64 = 3.0;

/// What is left, after each task, of the memory of how long an engine was not heard of.
const MEMORY: f64 = 0.98;

/// How much waiting is worth taking a task back from an engine when another has nothing to do, in seconds.
const WORTH: f64 = 0.002;

/// See the module.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) tasks: VecDeque<TaskId>,
    /// When it was last given one, counted in tasks that were given to engines.
    pub(super) turn: u64,
    /// Those that are to be taken back.
    pub(super) recalled: BTreeSet<TaskId>,
    /// It holds all that it may, and less than half of that has been done since.
    full: bool,
    /// How long tasks take there, in seconds.
    usual: Option<f64>,
    /// How long it had lately nothing to tell though no task took that long, in seconds: it waits for a processor.
    unheard: f64,
    /// When something last began there, as far as is known.
    progress: Instant,
    /// Somebody has looked, too late to see anything new by looking again.
    looked: bool,
}

impl Load {
    pub(super) fn new(now: Instant) -> Load {
        Load {
            tasks: VecDeque::new(),
            turn: 0,
            recalled: BTreeSet::new(),
            full: false,
            usual: None,
            unheard: 0.0,
            progress: now,
            looked: false,
        }
    }

    pub(super) fn give(&mut self, task: TaskId, turn: u64, now: Instant) {
        self.turn = turn;
        if self.tasks.is_empty() {
            self.progress = now;
        }
        self.tasks.push_back(task);
        self.full = self.tasks.len() >= self.window();
        self.looked = false;
    }

    /// A task ran for so many seconds.
    pub(super) fn measured(&mut self, seconds: f64, now: Instant) {
        let since = now.saturating_duration_since(self.progress).as_secs_f64();
        self.unheard = (since - seconds).max(self.unheard * MEMORY);
        self.progress = now;
        self.looked = false;
        self.usual = Some(self.usual.map_or(seconds, |usual| usual.mul_add(0.8, 0.2 * seconds)));
    }

    pub(super) fn drop_task(&mut self, task: TaskId) {
        // Nearly always the first one.
        if let Some(place) = self.tasks.iter().position(|held| *held == task) {
            self.tasks.remove(place);
        }
        self.recalled.remove(&task);
        self.full &= self.tasks.len() > self.window() / 2;
    }

    /// It had begun with these when they were to be taken back: what it holds besides waits behind them.
    pub(super) fn kept(&mut self, begun: &[TaskId]) {
        self.looked = false;
        for task in begun.iter().rev() {
            if self.recalled.remove(task)
                && let Some(place) = self.tasks.iter().position(|held| held == task)
            {
                self.tasks.remove(place);
                self.tasks.push_front(*task);
            }
        }
    }

    /// Whether it may be given more.
    pub(super) fn takes_more(&self, now: Instant) -> bool {
        self.tasks.is_empty() || !(self.full || self.is_stuck(now))
    }

    /// How many tasks it may hold.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 64")]
    fn window(&self) -> usize {
        self.usual.map_or(1, |usual| (AHEAD / usual.max(1e-6)).ceil().clamp(1.0, MOST_AHEAD as f64) as usize)
    }

    /// What waits there and is not to be taken back yet; `foreign`: what runs there is none of these tasks.
    pub(super) fn waiting(&self, foreign: bool) -> impl DoubleEndedIterator<Item = TaskId> {
        let behind = self.tasks.iter().skip(usize::from(!foreign));
        behind.filter(|task| !self.recalled.contains(task)).copied()
    }

    /// When somebody has to look whether tasks wait there behind one that takes long.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let waits = self.tasks.len() > 1 && self.recalled.is_empty() && !self.looked;
        waits.then(|| self.progress + self.patience())
    }

    /// Somebody looks. What stays there has to, and time alone will not change that.
    pub(super) fn look(&mut self, now: Instant) {
        self.looked |= self.deadline().is_some_and(|deadline| deadline <= now);
    }

    /// How long it may take until the next task ends.
    fn patience(&self) -> Duration {
        let seconds = USUAL * self.usual.unwrap_or_default().max(self.unheard);
        PATIENCE.max(Duration::try_from_secs_f64(seconds).unwrap_or(PATIENCE))
    }

    pub(super) fn is_stuck(&self, now: Instant) -> bool {
        !self.tasks.is_empty() && self.progress + self.patience() <= now
    }

    /// Whether its last task waits longer than it takes to give it to another engine.
    pub(super) fn is_long(&self) -> bool {
        let waiting = u32::try_from(self.tasks.len().saturating_sub(1)).unwrap_or(u32::MAX);
        self.usual.unwrap_or_default() * f64::from(waiting) > WORTH
    }
}
