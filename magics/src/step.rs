//! What a parallel cell asks for, one step after the other.
//!
//! Plain values that say what was typed. They know no cluster: which engines exist, what the
//! defaults are and how a step is carried out is the kernel's business.

use crate::targets::Targets;
use crate::usage::UsageError;

/// One thing to do. Steps run in order; a step that fails ends the cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Run code on engines.
    Px(Px),
    /// Switch automatic parallel mode.
    Autopx(AutopxSwitch),
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
    /// The code as typed; the engines' IPython reads it, magics and all.
    pub code: String,
    /// What the option line said.
    pub args: PxArgs,
}

/// The options of `%%px`. `None` is "as configured".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PxArgs {
    /// Which engines.
    pub targets: Option<Targets>,
    /// Whether the cell waits for the engines.
    pub block: Option<bool>,
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
    /// The state after the switch, from the state before it.
    #[must_use]
    pub fn apply(self, on: bool) -> bool {
        match self {
            AutopxSwitch::Toggle => !on,
            AutopxSwitch::On => true,
            AutopxSwitch::Off => false,
        }
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
    /// End all engines; what they held is gone.
    Stop,
    /// End all engines and start fresh ones.
    Restart {
        /// How many; `None` is as many as now.
        count: Option<u32>,
    },
}
