//! `parallel-python engines start`: becomes the process that keeps the engines, or leaves one behind.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use clap::Args;

use super::super::facts::default_python;
use super::super::say::say;
use super::find;
use crate::cluster::Phase;
use crate::driver::headless::{self, Plan};

#[derive(Debug, Args)]
pub(super) struct StartOptions {
    /// How many [default: one per physical core].
    #[arg(short = 'n', long = "engine-count", value_name = "N", env = "PARALLEL_PYTHON_ENGINES",
          value_parser = clap::value_parser!(u32).range(1..=4096))]
    count: Option<u32>,
    /// The name by which they are found.
    #[arg(long, default_value = "default")]
    profile: String,
    /// Return when they are up, and leave them running.
    #[arg(long)]
    daemonize: bool,
    /// The Python to run [default: the one of this installation's environment, else python3 on PATH].
    #[arg(long, value_name = "PYTHON", env = "PARALLEL_PYTHON")]
    python: Option<PathBuf>,
    /// The command that starts MPI programs, with arguments if it needs some.
    #[arg(long, value_name = "CMD ARGS", env = "PARALLEL_PYTHON_MPIEXEC")]
    mpiexec: Option<String>,
    /// End when standard input does: with the process that started it, however that ends.
    #[arg(long, conflicts_with = "daemonize")]
    owned: bool,
    /// Be the process that `--daemonize` leaves.
    #[arg(long, hide = true)]
    detached: bool,
}

pub(super) fn run(options: StartOptions) -> anyhow::Result<()> {
    if let Some(there) = find(&options.profile)? {
        bail!(there.runs_already());
    }
    if options.daemonize {
        return leave_behind();
    }
    if options.detached {
        // Nobody's terminal ends it.
        let _ = rustix::process::setsid();
    }
    let profile = options.profile.clone();
    let plan = Plan {
        profile: options.profile,
        python: options.python.unwrap_or_else(default_python),
        mpiexec: crate::cli::words(options.mpiexec.as_deref()),
        owned: options.owned,
        size: options.count.unwrap_or_else(|| crate::machine::Capacity::now().engines()),
    };
    let said = move |phase: &Phase, living: usize| {
        if matches!(phase, Phase::Up) {
            let pid = std::process::id();
            // Whoever started this may have gone.
            let mut out = std::io::stdout();
            drop(writeln!(out, "{living} engines of profile `{profile}` are up (pid {pid})"));
            drop(out.flush());
        }
    };
    crate::runtime()?.block_on(headless::serve(plan, said))
}

/// Starts this command again in a session of its own, and waits until its engines are up.
fn leave_behind() -> anyhow::Result<()> {
    let own = std::env::current_exe().context("where is this executable?")?;
    let arguments = std::env::args_os().skip(1).filter(|argument| argument != "--daemonize");
    let mut child = Command::new(own)
        .args(arguments)
        .arg("--detached")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start the process that keeps the engines")?;
    let mut line = String::new();
    if let Some(out) = child.stdout.take() {
        BufReader::new(out).read_line(&mut line)?;
    }
    if line.is_empty() {
        let output = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim();
        bail!("the engines did not start: {}", said.strip_prefix("parallel-python: ").unwrap_or(said));
    }
    say!("{}", line.trim_end());
    Ok(())
}
