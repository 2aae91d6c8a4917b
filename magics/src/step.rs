//! What a parallel cell asks for, one step after the other.
//!
//! Plain values that say what was typed. They know no cluster: which engines exist, what the
//! defaults are and how a step is carried out is the kernel's business.

use crate::config::{Config, GroupBy};
use crate::targets::Targets;
use crate::usage::UsageError;

/// One thing to do. Steps run in order; a step that fails ends the cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Run code on engines.
    Px(Px),
    /// Switch automatic parallel mode, of the set with this suffix.
    Autopx {
        /// The set's suffix; empty for the one that is always there.
        set: String,
        /// To what.
        switch: AutopxSwitch,
    },
    /// Set the defaults of a set.
    Config {
        /// The set's suffix.
        set: String,
        /// What was said; the rest stays.
        config: Config,
    },
    /// Show the last result of a set again.
    Recall {
        /// The set's suffix.
        set: String,
        /// How.
        display: Display,
    },
    /// Show where every engine is.
    Stack {
        /// Which engines; `None`: all.
        targets: Option<Targets>,
    },
    /// Show or change the set of engines.
    Engines(EnginesAction),
    /// Show this help text, as IPython's pager would.
    Help(String),
    /// Hand this part of the cell to the local shell.
    Local(String),
    /// Say what is wrong with how a magic was called.
    Usage(UsageError),
}

/// Code for engines, and how to run it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Px {
    /// The suffix of the set that it belongs to.
    pub set: String,
    /// The code as typed; the engines' IPython reads it, magics and all.
    pub code: String,
    /// What the option line said.
    pub args: PxArgs,
    /// It is a cell of automatic parallel mode.
    pub auto: bool,
}

/// The options of `%%px`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PxArgs {
    /// What `%pxconfig` can set as well.
    pub config: Config,
    /// How the outputs are shown.
    pub display: Display,
    /// Whether the notebook's own Python runs the cell too.
    pub local: bool,
    /// Whether times and memory of every engine are shown.
    pub stats: bool,
}

/// How the outputs of engines are shown, and whether they are kept under a name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Display {
    /// How they are grouped, if that was said.
    pub group: Option<GroupBy>,
    /// The variable that is to hold the result.
    pub out: Option<String>,
    /// Whether what several engines say alike is shown once.
    pub collapse: Option<bool>,
}

/// What `%autopx` is to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutopxSwitch {
    /// The other state.
    Toggle,
    /// On, whatever it was.
    On,
    /// Off, whatever it was.
    Off,
}

impl AutopxSwitch {
    /// The set whose cells run by themselves after the switch of `set`, from the one before it.
    ///
    /// Plain `%autopx` ends whichever is on; `%autopx_x` takes over from another.
    #[must_use]
    pub fn apply(self, set: &str, on: Option<&str>) -> Option<String> {
        let stays_on = match self {
            AutopxSwitch::Toggle => on.is_none_or(|on| !set.is_empty() && on != set),
            AutopxSwitch::On => true,
            AutopxSwitch::Off => false,
        };
        stays_on.then(|| set.to_owned())
    }
}

/// What `%engines` is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnginesAction {
    /// Show the table of engines.
    Show,
    /// Start engines where none run.
    Start {
        /// How many; `None` is as many as last time, or as the kernel was told.
        count: Option<u32>,
    },
    /// Raise `KeyboardInterrupt` in what engines run for cells that do not wait.
    Interrupt {
        /// Which; `None` is all.
        targets: Option<Targets>,
    },
    /// End all engines; what they held is gone.
    Stop,
    /// End all engines and start fresh ones.
    Restart {
        /// How many; `None` is as many as now.
        count: Option<u32>,
    },
}
