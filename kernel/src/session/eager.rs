//! The start of the engines that nobody asks for: early, but never in the way of the first cell.
//!
//! Engines that start load every core, and a notebook is judged by how soon its first cell answers. So they
//! wait for the end of the first cell, or for a moment in which nobody runs one.
//!
//! **Invariant**: it happens at most once, and not after the user has started or stopped them.

use std::time::{Duration, Instant};

use super::{Current, Desk, Session};

/// How long after the local process is up nobody has run a cell, so that nobody waits for one.
const QUIET: Duration = Duration::from_millis(500);

/// How long the engines wait for a first cell that takes long.
const LONGEST: Duration = Duration::from_secs(5);

/// Whether the engines are still to be started.
#[derive(Debug)]
pub(super) enum Eager {
    /// When the local process is up.
    Later,
    /// At `due`; if a cell runs then, when it has ended or at `last`.
    Waiting { due: Instant, last: Instant },
    /// No more, or not without being asked.
    Never,
}

impl Eager {
    /// The local process is up.
    pub(super) fn python_is_up(&mut self, now: Instant) {
        if matches!(self, Eager::Later) {
            *self = Eager::Waiting { due: now + QUIET, last: now + LONGEST };
        }
    }

    /// A cell has ended: nobody waits for a first one any more.
    pub(super) fn cell_has_ended(&mut self, now: Instant) {
        if let Eager::Waiting { due, .. } = self {
            *due = now;
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Eager::Waiting { due, .. } => Some(*due),
            Eager::Later | Eager::Never => None,
        }
    }
}

impl Desk {
    /// Starts the engines now, unless that has happened or the user has said what they want.
    pub(super) fn start_waiting_engines(&mut self, now: Instant) {
        let waiting = !matches!(std::mem::replace(&mut self.eager, Eager::Never), Eager::Never);
        if waiting && self.cluster.set() == 0 {
            self.cluster(|cluster, out| cluster.start(None, now, out));
        }
    }
}

impl Session {
    /// Starts the engines if it is time for that.
    pub(super) fn start_eagerly(&mut self, now: Instant) {
        let Eager::Waiting { due, last } = self.desk.eager else { return };
        if now < due {
            return;
        }
        if matches!(self.current, Current::Local { .. }) && now < last {
            self.desk.eager = Eager::Waiting { due: last, last };
        } else {
            self.desk.start_waiting_engines(now);
        }
    }
}
