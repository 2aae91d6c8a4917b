//! `parallel-python engines stop`: tells the process that keeps a set of engines to end, and waits until it has.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::super::say::say;
use super::found;
use crate::driver::registry::Entry;

/// How long a set may take to end.
const END: Duration = Duration::from_secs(15);

#[derive(Debug, Args)]
pub(super) struct StopOptions {
    /// Which engines.
    #[arg(long, default_value = "default")]
    profile: String,
}

pub(super) fn run(options: &StopOptions) -> anyhow::Result<()> {
    end(&found(&options.profile)?)
}

/// Ends a set.
pub(super) fn end(entry: &Entry) -> anyhow::Result<()> {
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
    say!("the engines of profile `{}` have ended", entry.profile);
    Ok(())
}
