//! A deadline in the form in which `poll` wants it.

use std::time::{Duration, Instant};

use rustix::event::Timespec;

/// How long something may still take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience(Instant);

impl Patience {
    /// From now on.
    pub(crate) fn of(time: Duration) -> Patience {
        Patience(Instant::now() + time)
    }

    /// The shorter of two.
    pub(crate) fn or(self, other: Patience) -> Patience {
        Patience(self.0.min(other.0))
    }

    pub(crate) fn is_over(self) -> bool {
        Instant::now() >= self.0
    }

    /// What is left, rounded up, so that a wait of it never ends just before the deadline.
    pub(crate) fn left(self) -> Timespec {
        let left = self.0.saturating_duration_since(Instant::now()) + Duration::from_micros(100);
        Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        }
    }
}
