//! How code is run on engines: what the options of `%%px` and `%pxconfig` say, as values.
//!
//! **Invariant**: `None` is "not said here". [`Config::over`] puts what was said nearer to the cell on top of what was
//! said further away: the cell's own line, then `%pxconfig`, then the view's, then the built-in defaults.

use std::time::Duration;

use crate::targets::Targets;

/// What can be set for one cell and for all that follow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// Which engines.
    pub targets: Option<Targets>,
    /// Whether the cell waits for the engines.
    pub block: Option<bool>,
    /// Whether output is shown as it comes, or all at once when the engines are done.
    pub stream: Option<bool>,
    /// When a cell that still runs shows its progress.
    pub progress_after: Option<Patience>,
    /// What an interrupt sends to the engines.
    pub signal: Option<Signal>,
    /// Whether a line says on which engines a cell runs.
    pub verbose: Option<bool>,
    /// Whether what several engines say alike is shown once.
    pub collapse: Option<bool>,
    /// When the cell is interrupted.
    pub timeout: Option<Patience>,
}

impl Config {
    /// This, and what it does not say from `below`.
    #[must_use]
    pub fn over(self, below: &Config) -> Config {
        let Config { targets, block, stream, progress_after, signal, verbose, collapse, timeout } = self;
        Config {
            targets: targets.or_else(|| below.targets.clone()),
            block: block.or(below.block),
            stream: stream.or(below.stream),
            progress_after: progress_after.or(below.progress_after),
            signal: signal.or_else(|| below.signal.clone()),
            verbose: verbose.or(below.verbose),
            collapse: collapse.or(below.collapse),
            timeout: timeout.or(below.timeout),
        }
    }
}

/// How long something is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// So long.
    After(Duration),
    /// It never comes.
    Never,
}

impl Patience {
    /// How long, if it ever comes.
    #[must_use]
    pub fn duration(self) -> Option<Duration> {
        match self {
            Patience::After(duration) => Some(duration),
            Patience::Never => None,
        }
    }
}

/// A signal for the engines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// Its number; 0 is none.
    pub number: i32,
    /// As it was typed: `SIGINT`, `9`.
    pub typed: String,
}

impl Signal {
    /// The signal of that name or number.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(typed: &str) -> Result<Self, String> {
        let name = typed.to_ascii_uppercase();
        let name = name.strip_prefix("SIG").unwrap_or(&name);
        let number = match typed.parse::<i32>() {
            Ok(number) => (0..=64).contains(&number).then_some(number),
            Err(_) => NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number),
        };
        match number {
            Some(number) => Ok(Signal { number, typed: typed.to_owned() }),
            None => {
                Err(format!("no signal `{typed}`: write `SIGINT`, `SIGTERM`, `SIGUSR1`, … or its number"))
            }
        }
    }
}

/// The signals of Linux, by their names without `SIG`.
const NAMES: [(&str, i32); 31] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
];

/// How output that is shown all at once is grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupBy {
    /// All standard output, all standard error, all displays, all results.
    #[default]
    Type,
    /// Everything of one engine, then of the next.
    Engine,
    /// As `Type`, but the first display of every engine, then the second of every engine, …
    Order,
}

impl GroupBy {
    /// The names, as `--group-outputs` takes them.
    pub const NAMES: [(&'static str, GroupBy); 3] =
        [("engine", GroupBy::Engine), ("order", GroupBy::Order), ("type", GroupBy::Type)];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_nearer_wins() {
        let near = Config { block: Some(false), ..Config::default() };
        let far = Config { block: Some(true), verbose: Some(true), ..Config::default() };
        let both = near.over(&far);
        assert_eq!((both.block, both.verbose, both.stream), (Some(false), Some(true), None));
    }

    #[test]
    fn signals_are_known_by_name_and_number() {
        for (typed, number) in
            [("SIGINT", 2), ("int", 2), ("9", 9), ("0", 0), ("SIGUSR1", 10), ("SIGSYS", 31)]
        {
            assert_eq!(Signal::read(typed).map(|signal| signal.number), Ok(number), "{typed}");
        }
        for typed in ["SIGNONE", "", "-1", "65", "SIG"] {
            assert!(Signal::read(typed).is_err(), "{typed}");
        }
    }
}
