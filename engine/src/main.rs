//! The engine executable: one program, six roles.
//!
//! | role | started by | what it is |
//! | --- | --- | --- |
//! | `local` | the kernel | the notebook's own Python |
//! | `launcher` | the kernel | starts `mpiexec` and the zygote, cleans up after everything |
//! | `zygote` | the launcher | a Python that has loaded what engines need and is forked for each of them |
//! | `rank` | `mpiexec` | waits for its supervisor, or is the supervisor |
//! | `supervisor` | the zygote | parent of one worker |
//! | `worker` | a supervisor, or the zygote | one rank's Python |
//!
//! **Boundary**: the executable links neither Python nor MPI; [`door`] opens Python at run time, the
//! library opens MPI. All unsafe code is in [`sys`].

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use rustix::process::Pid;

mod config;
mod descendants;
mod door;
mod farewell;
mod launcher;
mod limits;
mod patience;
mod rank;
mod remains;
mod supervisor;
mod surroundings;
mod sys;
mod tail;

use remains::Remains;

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
    /// A Python to be forked; its standard input is the socket at which ranks ask for that.
    Zygote {
        /// The engine set's `engines.json`.
        #[arg(long)]
        config: PathBuf,
    },
    /// A worker's supervisor, which was forked with it.
    Supervisor {
        /// The engine set's `engines.json`.
        #[arg(long)]
        config: PathBuf,
        /// The worker's log.
        #[arg(long)]
        log: PathBuf,
        /// The worker's process id; it is a child of this process.
        worker: i32,
        /// The descriptor that takes what a crash has to say.
        faults: i32,
        /// The descriptor of the link to the rank.
        rank: i32,
    },
    /// One rank; `mpiexec` starts it.
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
        Role::Rank { config } => rank::run(&config),
        Role::Zygote { config } => {
            let set = config::read(&config)?;
            let socket = sys::take_standard_input().context("no socket is on standard input")?;
            let listener = sys::hand_on(&socket)?;
            let mut options = vec!["--config".into(), config.into_os_string()];
            options.extend(["--listener".into(), listener.to_string().into()]);
            door::enter(&set.python, set.libpython.as_deref(), "zygote", options)
        }
        Role::Supervisor { config, log, worker, faults, rank } => {
            let remains = Remains { log, faults: sys::adopt_descriptor(faults)? };
            let worker = Pid::from_raw(worker).context("a worker's process id is above 0")?;
            let rank = sys::adopt_descriptor(rank)?;
            supervisor::adopt(&config::read(&config)?, worker, remains, rank.into())
        }
        Role::Worker { config, faults } => {
            let set = config::read(&config)?;
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
