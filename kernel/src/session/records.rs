//! Parallel cells on their way into the notebook's history.
//!
//! A recorded cell costs the local process as much as running one, and nobody looks at the history between two
//! parallel cells that follow each other at once: so records wait for a quiet moment.
//!
//! **Invariant**: they reach the local process in order, and before anything else that it is told.

use std::time::{Duration, Instant};

use fabric::message::local::ToLocal;

use super::{Effect, Session};

/// How long a record may wait.
const QUIET: Duration = Duration::from_millis(300);

/// The cells that have not been recorded yet.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// A record without code says only what the count is.
    waiting: Vec<ToLocal>,
    due: Option<Instant>,
}

impl Records {
    pub(super) fn add(&mut self, code: String, count: u32, now: Instant) {
        self.waiting.push(ToLocal::Record { code, count });
        self.due.get_or_insert(now + QUIET);
    }

    /// A new local process begins: its first cell's count is `next`, even if nothing waits to be recorded.
    pub(super) fn go_on_from(&mut self, next: u32, now: Instant) {
        if self.waiting.is_empty() && next > 1 {
            self.add(String::new(), next - 1, now);
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due
    }
}

impl Session {
    /// Tells the local process something, and before it what it has to know.
    pub(super) fn tell_local(&mut self, message: ToLocal) {
        self.record_all();
        self.desk.effects.push(Effect::Local(message));
    }

    /// Records what is due.
    pub(super) fn record_due(&mut self, now: Instant) {
        if self.records.due.is_some_and(|due| due <= now) {
            self.record_all();
        }
    }

    fn record_all(&mut self) {
        self.records.due = None;
        self.desk.effects.extend(self.records.waiting.drain(..).map(Effect::Local));
    }
}
