//! Targets, resolved against the engines that are there.

use super::{TargetError, Targets};

/// The engines that targets mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Their ids, each once, in the order in which the targets name them.
    pub ids: Vec<u32>,
    /// Whether one engine was named by itself: its result is then a value, not a list of one.
    pub single: bool,
}

impl Targets {
    /// The engines among `ids` (ascending) that these targets mean.
    ///
    /// An engine that is named twice runs once: the repeat is dropped.
    ///
    /// # Errors
    ///
    /// When there are no engines, an id is not among them, or the targets select none.
    pub fn resolve(&self, ids: &[u32]) -> Result<Resolved, TargetError> {
        if ids.is_empty() {
            return Err(TargetError::NoEngines);
        }
        let named = match self {
            Targets::All => ids.to_vec(),
            Targets::One(id) => vec![engine(*id, ids)?],
            Targets::Many(many) => many.iter().map(|id| engine(*id, ids)).collect::<Result<_, _>>()?,
            Targets::Slice { start, stop, step } => slice(*start, *stop, step.unwrap_or(1), ids),
            Targets::Range { start, stop, step } => range(*start, *stop, *step, ids)?,
        };
        if named.is_empty() {
            return Err(TargetError::Nobody { seen: self.to_string(), engines: ids.to_vec() });
        }
        Ok(Resolved { ids: without_repeats(named), single: matches!(self, Targets::One(_)) })
    }
}

/// The engine of that id; a negative one counts from the end.
fn engine(seen: i64, ids: &[u32]) -> Result<u32, TargetError> {
    let found = if seen < 0 {
        usize::try_from(seen.unsigned_abs())
            .ok()
            .and_then(|back| ids.len().checked_sub(back))
            .map(|at| ids[at])
    } else {
        u32::try_from(seen).ok().filter(|id| ids.contains(id))
    };
    found.ok_or_else(|| TargetError::NoEngine { seen, engines: ids.to_vec() })
}

/// `ids[start:stop:step]` by Python's rules.
fn slice(start: Option<i64>, stop: Option<i64>, step: i64, ids: &[u32]) -> Vec<u32> {
    let len = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    let (lowest, highest) = if step > 0 { (0, len) } else { (-1, len - 1) };
    let clamp = |bound: i64| {
        let from_front = if bound < 0 { bound.saturating_add(len) } else { bound };
        from_front.clamp(lowest, highest)
    };
    let (first, end) = if step > 0 { (lowest, highest) } else { (highest, lowest) };
    let places = Counted { next: start.map_or(first, clamp), stop: stop.map_or(end, clamp), step };
    places.filter_map(|place| usize::try_from(place).ok().and_then(|place| ids.get(place)).copied()).collect()
}

/// The engines of `range(start, stop, step)`; stops at the first id that no engine has, so that
/// the size of a range costs nothing.
fn range(start: i64, stop: i64, step: i64, ids: &[u32]) -> Result<Vec<u32>, TargetError> {
    Counted { next: start, stop, step }.map(|id| engine(id, ids)).collect()
}

/// Counts as Python's `range` does, and ends where a number would overflow.
struct Counted {
    next: i64,
    stop: i64,
    step: i64,
}

impl Iterator for Counted {
    type Item = i64;

    fn next(&mut self) -> Option<i64> {
        let there = if self.step > 0 { self.next < self.stop } else { self.next > self.stop };
        let now = (there && self.step != 0).then_some(self.next)?;
        self.next = self.next.checked_add(self.step).unwrap_or(self.stop);
        Some(now)
    }
}

fn without_repeats(named: Vec<u32>) -> Vec<u32> {
    let mut seen = std::collections::HashSet::with_capacity(named.len());
    named.into_iter().filter(|id| seen.insert(*id)).collect()
}
