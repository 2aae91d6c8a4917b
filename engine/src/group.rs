//! The process group of a process of ours: what user code has started, unless it chose a group of its own.

use std::fs;

use rustix::process::{Pid, Signal, getpgrp, getpid, kill_process, kill_process_group};

use crate::ffi;

/// Sends SIGINT to every other process of our group, as a terminal does. The group as a whole would include
/// ourselves, and the interrupt would come twice.
pub(crate) fn interrupt_children() {
    let (own, group) = (getpid(), getpgrp());
    if own != group {
        return; // The group is not ours, so neither are its members.
    }
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Some(pid) = Pid::from_raw(pid) else { continue };
        if pid != own && group_of(pid) == Some(group) {
            // It may have ended this moment.
            let _ = kill_process(pid, Signal::INT);
        }
    }
}

/// Ends this process and its group. The others are asked first, and outlive this process for a moment: Python's
/// resource tracker removes the semaphores of a pool when it is the last that has them.
pub(crate) fn end() -> ! {
    let group = getpgrp();
    if getpid() == group {
        ffi::ignore(Signal::TERM.as_raw());
        let signal =
            if ffi::leave_undertaker(group.as_raw_nonzero().get()) { Signal::TERM } else { Signal::KILL };
        // The group has this process at least.
        let _ = kill_process_group(group, signal);
    }
    ffi::exit_now(1)
}

/// The group of another process. rustix's `getpgid` takes for granted that it is positive, but it is 0 for processes
/// outside our PID namespace and -1 for those that are just ending.
fn group_of(pid: Pid) -> Option<Pid> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // `pid (name) state parent group …`, and the name may hold anything.
    let (_, after_name) = stat.rsplit_once(')')?;
    let group: i32 = after_name.split_whitespace().nth(2)?.parse().ok()?;
    (group > 0).then(|| Pid::from_raw(group)).flatten()
}
