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

/// How much waiting is worth taking a task back from an engine when another has nothing to do, in seconds.
const WORTH: f64 = 0.002;

/// See the module.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) tasks: VecDeque<TaskId>,
    /// Those that are to be taken back.
    pub(super) recalled: BTreeSet<TaskId>,
    /// How long tasks take there, in seconds.
    usual: Option<f64>,
    /// When something last began there, as far as is known.
    progress: Instant,
    /// Somebody has looked, too late to see anything new by looking again.
    looked: bool,
}

impl Load {
    pub(super) fn new(now: Instant) -> Load {
        Load { tasks: VecDeque::new(), recalled: BTreeSet::new(), usual: None, progress: now, looked: false }
    }

    pub(super) fn give(&mut self, task: TaskId, now: Instant) {
        if self.tasks.is_empty() {
            self.progress = now;
        }
        self.tasks.push_back(task);
        self.looked = false;
    }

    /// A task ran for so many seconds.
    pub(super) fn measured(&mut self, seconds: f64, now: Instant) {
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

    /// How many tasks it may hold.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 64")]
    pub(super) fn window(&self, now: Instant) -> usize {
        let usual = self.usual.filter(|_| !self.is_stuck(now));
        usual.map_or(1, |usual| (AHEAD / usual.max(1e-6)).ceil().clamp(1.0, MOST_AHEAD as f64) as usize)
    }

    /// What is to be taken back if others could do it; `foreign`: what runs there is none of these tasks;
    /// `wanted`: somebody has nothing to do.
    pub(super) fn superfluous(&self, foreign: bool, wanted: bool, now: Instant) -> Vec<TaskId> {
        let stuck = self.is_stuck(now);
        if !stuck && !wanted {
            return Vec::new();
        }
        let waiting = self.tasks.iter().skip(usize::from(!foreign));
        let waiting: Vec<TaskId> = waiting.filter(|task| !self.recalled.contains(task)).copied().collect();
        if stuck {
            waiting
        } else if self.wait(waiting.len()) > WORTH {
            waiting.last().copied().into_iter().collect()
        } else {
            Vec::new()
        }
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
        PATIENCE.max(Duration::try_from_secs_f64(USUAL * self.usual.unwrap_or_default()).unwrap_or(PATIENCE))
    }

    pub(super) fn is_stuck(&self, now: Instant) -> bool {
        !self.tasks.is_empty() && self.progress + self.patience() <= now
    }

    /// How long the last of so many may wait, in seconds.
    fn wait(&self, waiting: usize) -> f64 {
        self.usual.unwrap_or_default() * f64::from(u32::try_from(waiting).unwrap_or(u32::MAX))
    }
}
