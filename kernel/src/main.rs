//! `parallel-python`: see `parallel-python --help`.

use std::process::ExitCode;

use clap::Parser;
use kernel::cli::{Cli, Command};

fn main() -> ExitCode {
    log_to_stderr();
    let command = Cli::parse().command;
    let is_kernel = matches!(command, Command::Kernel(_));
    kernel::run(command).unwrap_or_else(|error| {
        if is_kernel {
            tracing::error!("{error:#}");
        } else {
            eprintln!("parallel-python: {error:#}");
        }
        ExitCode::FAILURE
    })
}

/// Warnings by default; `PARALLEL_PYTHON_LOG=debug` for more.
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("PARALLEL_PYTHON_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    // Where nobody reads standard error any more, what is said there is lost, and nothing else.
    let log = tracing_subscriber::fmt().log_internal_errors(false);
    log.with_env_filter(filter).with_writer(std::io::stderr).init();
}
