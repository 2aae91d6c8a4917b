//! The launcher's conversation with the kernel: start `mpiexec` in a session of its own, say how it
//! ended, and leave nothing behind.
//!
//! **Invariant**: the end of file on the launcher's socket means that the kernel is gone or has let
//! go: every process below the launcher is ended, then exactly the named files are removed.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::lifeline::Ending;

/// Kernel → launcher.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToLauncher {
    /// Start this command. The first message, once.
    Start {
        /// The program and its arguments.
        command: Vec<String>,
        /// Variables to set in its environment.
        set: Vec<(String, String)>,
        /// Where to run it.
        directory: PathBuf,
        /// What to start beside it.
        zygote: Option<Zygote>,
    },
    /// Files, and folders with all in them and what is noted there ([`crate::leftovers`]), to remove once every
    /// process has ended. Adds to what was named before; what does not exist is passed over.
    Remove(Vec<PathBuf>),
    /// Files and folders that the kernel removes itself. They are removed in its place only when it has gone
    /// without having done so, when nothing else is left.
    Inherit(Vec<PathBuf>),
    /// End everything now: give the ranks this long to end by themselves, then kill.
    Stop {
        /// In milliseconds.
        grace: u32,
    },
}

/// The process that forks engines ([`super::zygote`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Zygote {
    /// The program and its arguments; its standard input is the socket that listens.
    pub command: Vec<String>,
    /// Where it listens.
    pub socket: PathBuf,
    /// The file for what it writes.
    pub log: PathBuf,
}

/// Launcher → kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FromLauncher {
    /// The command runs.
    Started {
        /// Its process id.
        pid: u32,
    },
    /// The command could not be started.
    Failed {
        /// Why, with the command's name.
        reason: String,
    },
    /// The command has ended.
    Exited {
        /// How.
        ending: Ending,
        /// The tail of what it and the ranks wrote outside cells, at most 4 KiB.
        last_words: String,
    },
}
