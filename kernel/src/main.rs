//! `parallel-python`: see `parallel-python --help`.

use std::process::ExitCode;

use clap::Parser;
use kernel::cli::{Cli, Command};

fn main() -> ExitCode {
    log_to_stderr();
    let done = match Cli::parse().command {
        Command::Kernel(options) => kernel::run(options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Warnings by default; `PARALLEL_PYTHON_LOG=debug` for more.
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("PARALLEL_PYTHON_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
