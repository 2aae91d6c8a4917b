//! The processes below this one: those it started, those they started, and orphans of either, which a
//! subreaper inherits.
//!
//! **Invariant**: a signal goes only to a process that was seen below this one and is still the same: its
//! start time is compared after its pidfd is open, so a reused process id is never hit.

use std::collections::HashMap;
use std::fs;

use fabric::message::lifeline::Ending;
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, getpid, pidfd_open, pidfd_send_signal, wait,
};

/// Makes this process the one that inherits the orphans among its descendants.
pub(crate) fn inherit_orphans() -> rustix::io::Result<()> {
    rustix::process::set_child_subreaper(Some(getpid()))
}

/// What became of the children that have ended.
pub(crate) struct Reaped {
    /// Those that ended since the last time.
    pub(crate) ended: Vec<(Pid, Ending)>,
    /// Whether none is left; then no descendant is left either, for orphans are children.
    pub(crate) none_left: bool,
}

/// Takes note of every child that has ended, without waiting.
pub(crate) fn reap() -> Reaped {
    let mut ended = Vec::new();
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => ended.extend(ending(status).map(|ending| (pid, ending))),
            Ok(None) => return Reaped { ended, none_left: false },
            Err(Errno::INTR) => {}
            Err(_no_child) => return Reaped { ended, none_left: true },
        }
    }
}

/// Sends a signal to every process below this one.
pub(crate) fn signal_all(signal: Signal) {
    for process in below(getpid()) {
        process.signal(signal);
    }
}

fn ending(status: WaitStatus) -> Option<Ending> {
    status.exit_status().map(Ending::Code).or_else(|| status.terminating_signal().map(Ending::Signal))
}

/// A process as `/proc` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    pid: Pid,
    parent: i32,
    /// In clock ticks since boot: with the process id, its identity.
    started: u64,
}

impl Process {
    fn read(pid: Pid) -> Option<Process> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
        let (parent, started) = parse(&stat)?;
        Some(Process { pid, parent, started })
    }

    fn signal(self, signal: Signal) {
        let Ok(handle) = pidfd_open(self.pid, PidfdFlags::empty()) else { return };
        if Process::read(self.pid).is_some_and(|now| now.started == self.started) {
            // It may have ended this moment, which is as well.
            let _ = pidfd_send_signal(&handle, signal);
        }
    }
}

/// Parent and start time from `/proc/<pid>/stat`. The program's name, in parentheses, may hold anything.
fn parse(stat: &str) -> Option<(i32, u64)> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let parent = fields.nth(1)?.parse().ok()?;
    let started = fields.nth(17)?.parse().ok()?;
    Some((parent, started))
}

/// Every process below `root`, parents before their children.
fn below(root: Pid) -> Vec<Process> {
    let mut children: HashMap<i32, Vec<Process>> = HashMap::new();
    let folder = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in folder.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(Pid::from_raw) {
        if let Some(process) = Process::read(pid) {
            children.entry(process.parent).or_default().push(process);
        }
    }
    let mut found = children.remove(&root.as_raw_nonzero().get()).unwrap_or_default();
    let mut next = 0;
    while let Some(process) = found.get(next) {
        found.extend(children.remove(&process.pid.as_raw_nonzero().get()).unwrap_or_default());
        next += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_program_name_is_understood() {
        let rest = "S 7 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 99 1";
        for name in ["sh", "a b", "a) S 1 (b", ""] {
            assert_eq!(parse(&format!("12 ({name}) {rest}")), Some((7, 4711)), "{name:?}");
        }
        assert_eq!(parse("12 (sh) S 7"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn a_child_is_found_below_this_process() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let found = below(getpid());
        assert!(found.iter().any(|process| process.pid.as_raw_nonzero().get() == child.id().cast_signed()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
