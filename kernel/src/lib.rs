//! The kernel: one process that owns the connection to the frontend and outlives everything that runs
//! user code.
//!
//! ```text
//! cell ─► magics::parse ─► plan ─► fan_out ─► fabric ═ MPI ═► engine runs it ─► reports ─► merge ─► iopub
//!         what was typed   live    one task   bytes           IPython shell     events     one voice
//!                          engines per target
//! ```
//!
//! The modules in the order in which a cell meets them:
//! [`sockets`] and [`wire`] take it in, [`session`] decides whose it is ([`request`] frames it in busy
//! and idle), [`cluster`] fans it out and watches over the engines, [`merge`] makes one voice of what
//! they report, [`clients`] does the same for those who use the client API, [`compose`] writes the messages, [`backlog`] keeps those who produce them to the pace of
//! those who read. [`driver`] is the loop that joins them to the operating system.
//!
//! **Invariant**: [`session`], [`cluster`], [`clients`] and [`merge`] do no I/O and read no clock.
//!
//! **Boundary**: this process links neither Python nor MPI, so no crash of user code can end it.

#![forbid(unsafe_code)]

mod backlog;
pub mod cli;
pub mod clients;
pub mod cluster;
pub mod command;
pub mod compose;
pub mod connection;
mod driver;
pub mod hub;
mod installation;
mod machine;
pub mod merge;
pub mod request;
pub mod session;
mod sockets;
pub mod wire;

use std::process::ExitCode;

/// Does what the command line says.
///
/// # Errors
/// When it cannot be done: a sentence for the user.
pub fn run(command: cli::Command) -> anyhow::Result<ExitCode> {
    match command {
        cli::Command::Kernel(options) => runtime()?.block_on(driver::run(options))?,
        cli::Command::Engines(options) => return command::engines::run(options),
        cli::Command::Install(options) => command::install::run(&options)?,
        cli::Command::Uninstall(options) => command::uninstall::run(&options)?,
        cli::Command::PythonPath => println!("{}", installation::packages()?.display()),
        cli::Command::Doctor(options) => return runtime()?.block_on(command::doctor::run(&options)),
    }
    Ok(ExitCode::SUCCESS)
}

/// One thread: a cell's round trip is a chain of wake-ups, and each hop to another thread is one more.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
