//! How long who carries sleeps between looks when no ring will wake it.
//!
//! **Invariant**: bounded delay, and the longer nothing happens the fewer looks.

use std::time::Duration;

/// Why the thread has to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// A packet was announced and is not visible yet: a matter of microseconds.
    Soon,
    /// Other ranks may need this one to move their MPI along, or its own sends are not complete.
    Sometimes,
}

/// Counts the looks that found nothing.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    vain: u32,
}

/// Looks without a pause. No yield between them: on a busy machine that costs a whole slice.
const AT_ONCE: u32 = 10;
const SOON: Duration = Duration::from_micros(50);
const SOMETIMES: Duration = Duration::from_micros(500);
const LONGEST: Duration = Duration::from_millis(10);

impl Backoff {
    /// How long to sleep before the next look.
    pub(super) fn next(&mut self, look: Look) -> Duration {
        let vain = self.vain;
        self.vain = vain.saturating_add(1);
        let doubled = |first: Duration, times: u32| (first * (1 << times.min(8))).min(LONGEST);
        match look {
            Look::Soon if vain < AT_ONCE => Duration::ZERO,
            Look::Soon => doubled(SOON, vain - AT_ONCE),
            Look::Sometimes => doubled(SOMETIMES, vain),
        }
    }

    /// Something happened.
    pub(super) fn reset(&mut self) {
        self.vain = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_become_rare() {
        let mut backoff = Backoff::default();
        let slept: Vec<_> = (0..7).map(|_| backoff.next(Look::Sometimes).as_micros()).collect();
        assert_eq!(slept, [500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        backoff.reset();
        assert_eq!(backoff.next(Look::Sometimes), SOMETIMES);
        backoff.vain = u32::MAX;
        assert_eq!(backoff.next(Look::Soon), LONGEST);
    }
}
