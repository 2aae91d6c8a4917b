//! `parallel-python engines`: sets of engines that no notebook owns, as `ipcluster` kept them.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::facts::default_python;
use crate::cluster::Phase;
use crate::driver::headless::{self, Plan};
use crate::driver::registry::{self, Entry};

/// How long a set may take to end.
const END: Duration = Duration::from_secs(15);

/// The options of `parallel-python engines`.
#[derive(Debug, Args)]
pub struct EnginesOptions {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start engines and keep them until they are stopped.
    Start(StartOptions),
    /// End the engines of a profile.
    Stop(StopOptions),
    /// Show all sets of engines of this user, those of notebooks too.
    List(ListOptions),
}

#[derive(Debug, Args)]
struct StartOptions {
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

#[derive(Debug, Args)]
struct ListOptions {
    /// As JSON: a list of objects with profile, kind, pid, socket, build, started, engines.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct StopOptions {
    /// Which engines.
    #[arg(long, default_value = "default")]
    profile: String,
}

/// Does what was asked for.
pub(crate) fn run(options: EnginesOptions) -> anyhow::Result<ExitCode> {
    match options.action {
        Action::Start(start) => start_engines(start)?,
        Action::Stop(stop) => stop_engines(&stop.profile)?,
        Action::List(options) => list(&options)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn start_engines(options: StartOptions) -> anyhow::Result<()> {
    if let Some(there) = find(&options.profile)? {
        bail!(
            "the engines of profile `{0}` run already (pid {1}); `parallel-python engines stop --profile {0}` ends them",
            there.profile,
            there.pid
        );
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
        bail!("the engines did not start: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    print!("{line}");
    Ok(())
}

fn stop_engines(profile: &str) -> anyhow::Result<()> {
    let Some(entry) = find(profile)? else { bail!("no engines of profile `{profile}` run") };
    let pid = i32::try_from(entry.pid).ok().and_then(Pid::from_raw).context("no process id")?;
    // From here on it is this process and no later one of the same number; that it is the right one is known
    // because it listens where the entry says.
    let process = pidfd_open(pid, PidfdFlags::empty()).context("it has just ended")?;
    pidfd_send_signal(&process, Signal::TERM).context("cannot be told to end")?;
    let mut ends = [PollFd::new(&process, PollFlags::IN)];
    let patience = Timespec::try_from(END)?;
    if poll(&mut ends, Some(&patience))? == 0 {
        bail!("process {} has not ended within {} s", entry.pid, END.as_secs());
    }
    println!("the engines of profile `{profile}` have ended");
    Ok(())
}

fn list(options: &ListOptions) -> anyhow::Result<()> {
    let entries = registry::entries()?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&entries)?);
        return Ok(());
    }
    if entries.is_empty() {
        println!("no engines");
    }
    for Entry { profile, kind, pid, engines, socket, .. } in entries {
        println!("{profile}  {kind}  {engines} engines  pid {pid}  {}", socket.display());
    }
    Ok(())
}

fn find(profile: &str) -> anyhow::Result<Option<Entry>> {
    let entries = registry::entries()?;
    Ok(entries.into_iter().find(|entry| entry.kind == "headless" && entry.profile == profile))
}
