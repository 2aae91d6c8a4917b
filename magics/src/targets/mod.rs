//! Which engines a magic is for: what was typed, as a value.
//!
//! The grammar is the part of Python that people type after `--targets`: an id, a list or tuple of
//! ids, a slice, `range(…)`, `all`, `None`. Negative ids count from the end, as in Python.
//!
//! **Invariant**: nothing is evaluated. [`Targets::resolve`] gives each engine at most once, in the
//! order in which the targets name them, and never an id that is not among the given ones.

mod read;
mod resolve;

use thiserror::Error;

pub use resolve::Resolved;

/// Targets as they were typed, before they meet the live engines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    /// Every engine there is when the cell runs.
    All,
    /// One engine; negative counts from the end.
    One(i64),
    /// These engines, in this order.
    Many(Vec<i64>),
    /// A slice of the engines' ids.
    Slice {
        /// Where it begins.
        start: Option<i64>,
        /// What it ends before.
        stop: Option<i64>,
        /// Its step, never 0.
        step: Option<i64>,
    },
    /// The ids from `start` to before `stop`, as Python's `range` counts them.
    Range {
        /// The first id.
        start: i64,
        /// What it ends before.
        stop: i64,
        /// Its step, never 0.
        step: i64,
    },
}

/// Targets that cannot be read, or that name no engine.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TargetError {
    /// What was typed is not in the grammar.
    #[error(
        "cannot read targets `{seen}`{hint}. Write an engine (`0`, `-1`), several (`0,2`, `[0, 2]`), a slice (`::2`, `1:`), `range(2)` or `all`"
    )]
    Unreadable {
        /// What was typed.
        seen: String,
        /// What is wrong with it, with a leading colon, or nothing.
        hint: &'static str,
    },
    /// An id that no engine has.
    #[error("no engine {seen}: {}", engines_are(engines))]
    NoEngine {
        /// The id as it was typed.
        seen: i64,
        /// The engines there are.
        engines: Vec<u32>,
    },
    /// Targets that are in order but leave nobody to run anything.
    #[error("targets `{seen}` select no engine: {}", engines_are(engines))]
    Nobody {
        /// The targets.
        seen: String,
        /// The engines there are.
        engines: Vec<u32>,
    },
    /// There is nothing to target.
    #[error("no engines are running; start them with `%engines start`")]
    NoEngines,
}

impl std::fmt::Display for Targets {
    /// Writes the targets as they can be typed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let or_nothing = |bound: &Option<i64>| bound.map_or_else(String::new, |bound| bound.to_string());
        match self {
            Targets::All => write!(f, "all"),
            Targets::One(id) => write!(f, "{id}"),
            Targets::Many(ids) => {
                let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
                write!(f, "[{}]", ids.join(", "))
            }
            Targets::Slice { start, stop, step: None } => {
                write!(f, "{}:{}", or_nothing(start), or_nothing(stop))
            }
            Targets::Slice { start, stop, step } => {
                write!(f, "{}:{}:{}", or_nothing(start), or_nothing(stop), or_nothing(step))
            }
            Targets::Range { start: 0, stop, step: 1 } => write!(f, "range({stop})"),
            Targets::Range { start, stop, step: 1 } => write!(f, "range({start}, {stop})"),
            Targets::Range { start, stop, step } => write!(f, "range({start}, {stop}, {step})"),
        }
    }
}

/// `engines are 0..3`, `engines are 0..1, 3`, `the only engine is 0`.
fn engines_are(engines: &[u32]) -> String {
    match engines {
        [] => "no engines are running".to_owned(),
        [only] => format!("the only engine is {only}"),
        _ => {
            let runs = engines.chunk_by(|a, b| a.checked_add(1) == Some(*b));
            let runs = runs.map(|run| match run {
                [first, .., last] => format!("{first}..{last}"),
                _ => run.iter().map(u32::to_string).collect(),
            });
            format!("engines are {}", runs.collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests;
