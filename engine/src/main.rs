//! The engine executable: one program, four roles.
//!
//! | role | started by | what it is |
//! | --- | --- | --- |
//! | `local` | the kernel | the notebook's own Python |
//! | `launcher` | the kernel | starts `mpiexec`, cleans up after everything |
//! | `rank` | `mpiexec` | supervisor of one worker |
//! | `worker` | a supervisor | one rank's Python |
//!
//! **Boundary**: the executable links neither Python nor MPI; [`door`] opens Python at run time, the
//! library opens MPI. All unsafe code is in [`sys`].

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use fabric::config::RankConfig;

mod descendants;
mod door;
mod farewell;
mod launcher;
mod limits;
mod patience;
mod supervisor;
mod sys;
mod tail;

/// What the kernel runs beside itself; of no use on its own.
#[derive(Parser)]
#[command(version = fabric::message::BUILD)]
struct Arguments {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// The notebook's own Python; its standard input is the kernel's link.
    Local {
        /// The Python to be.
        #[arg(long)]
        python: PathBuf,
        /// Its shared library; without one the library is loaded by the Python itself.
        #[arg(long)]
        libpython: Option<PathBuf>,
    },
    /// Starts `mpiexec` and cleans up after everything; its standard input is the kernel's link.
    Launcher,
    /// One rank's supervisor; `mpiexec` starts it.
    Rank {
        /// The engine set's `engines.json`.
        #[arg(long)]
        config: PathBuf,
    },
    /// One rank's Python; its supervisor starts it.
    Worker {
        /// The engine set's `engines.json`.
        #[arg(long)]
        config: PathBuf,
        /// The descriptor that takes what a crash has to say.
        #[arg(long)]
        faults: Option<i32>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().role) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("parallel-python-engine: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(role: Role) -> anyhow::Result<()> {
    match role {
        Role::Local { python, libpython } => {
            let link = link()?;
            let options = vec!["--link".into(), sys::hand_on(&link)?.to_string().into()];
            door::enter(&python, libpython.as_deref(), "local", options)
        }
        Role::Launcher => launcher::run(link()?.into()),
        Role::Rank { config } => supervisor::run(&config),
        Role::Worker { config, faults } => {
            let set = read_config(&config)?;
            let mut options = vec!["--config".into(), config.into_os_string()];
            if let Some(faults) = faults {
                options.extend(["--faults".into(), faults.to_string().into()]);
            }
            door::enter(&set.python, set.libpython.as_deref(), "worker", options)
        }
    }
}

fn link() -> anyhow::Result<OwnedFd> {
    sys::take_standard_input().context("the kernel's link is not on standard input")
}

fn read_config(path: &Path) -> anyhow::Result<RankConfig> {
    let text = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("`{}` is not an engine set", path.display()))
}
