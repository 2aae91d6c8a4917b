//! Whether a copy of another process would live as this one does. What a process inherits says where it may run
//! (processors, memory, control group), how much it may take (limits) and what it sees (namespaces).
//!
//! **Invariant**: what cannot be read counts as different.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, getpriority_process};

/// What is the same for all in one container, in `ns/`.
const NAMESPACES: [&str; 7] = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];

/// What must be the same as a whole.
const FILES: [&str; 3] = ["cgroup", "limits", "oom_score_adj"];

/// What must be the same of `status`.
const STATUS: [&str; 10] = [
    "Umask:",
    "Uid:",
    "Gid:",
    "Groups:",
    "CapEff:",
    "CapBnd:",
    "NoNewPrivs:",
    "Seccomp:",
    "Cpus_allowed:",
    "Mems_allowed:",
];

/// Whether this process and `other` are surrounded by the same.
pub(crate) fn are_shared_with(other: Pid) -> bool {
    let (own, others) = (Path::new("/proc/self"), format!("/proc/{}", other.as_raw_nonzero()));
    let others = Path::new(&others);
    let namespace = |name: &&str| same(|process| fs::read_link(process.join("ns").join(name)), own, others);
    let file = |name: &&str| same(|process| fs::read(process.join(name)), own, others);
    NAMESPACES.iter().all(namespace)
        && FILES.iter().all(file)
        && same(|process| fs::read_to_string(process.join("status")).map(relevant), own, others)
        && getpriority_process(None).is_ok_and(|nice| getpriority_process(Some(other)) == Ok(nice))
}

fn same<T: PartialEq>(read: impl Fn(&Path) -> std::io::Result<T>, one: &Path, other: &Path) -> bool {
    matches!((read(one), read(other)), (Ok(one), Ok(other)) if one == other)
}

fn relevant(status: String) -> Vec<String> {
    let is_relevant = |line: &&str| STATUS.iter().any(|name| line.starts_with(name));
    status.lines().filter(is_relevant).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use rustix::process::{Resource, Rlimit, getrlimit, setpriority_process, setrlimit};

    use super::*;

    /// Whether a child that did this before it began is surrounded by the same.
    fn look(begin: impl FnMut() -> std::io::Result<()> + Send + Sync + 'static) -> bool {
        let mut command = Command::new("sleep");
        // SAFETY: what the tests do between fork and exec are system calls.
        unsafe { command.arg("60").pre_exec(begin) };
        let mut child = command.spawn().unwrap();
        let shared = are_shared_with(Pid::from_raw(child.id().cast_signed()).unwrap());
        child.kill().unwrap();
        child.wait().unwrap();
        shared
    }

    #[test]
    fn a_child_shares_what_it_inherits() {
        assert!(look(|| Ok(())));
    }

    #[test]
    fn a_child_with_other_limits_or_priority_does_not() {
        assert!(!look(|| {
            let limit = getrlimit(Resource::Nofile);
            let current = limit.current.map(|files| files - 1);
            Ok(setrlimit(Resource::Nofile, Rlimit { current, ..limit })?)
        }));
        assert!(!look(|| Ok(setpriority_process(None, getpriority_process(None)? + 1)?)));
    }

    #[test]
    fn a_process_that_is_not_there_does_not() {
        assert!(!are_shared_with(Pid::from_raw(i32::MAX).unwrap()));
    }

    #[test]
    fn lines_of_the_status_that_change_all_the_time_do_not_count() {
        let status = "Name:\tx\nUmask:\t0022\nVmRSS:\t12 kB\nUid:\t0\t0\t0\t0\nthreads: 3\n".to_owned();
        assert_eq!(relevant(status), ["Umask:\t0022", "Uid:\t0\t0\t0\t0"]);
    }
}
