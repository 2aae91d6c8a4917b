//! How near this user is to the limit on processes and threads, which an MPI that runs into it may not say.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use rustix::process::{Resource, getrlimit, getuid};

/// What an engine takes to start, about.
const ENGINE: u64 = 8;

/// What to add to the last words of an engine that ended by itself: none where there was room for another.
pub(crate) fn shortage() -> Option<String> {
    // It does not hold for root.
    let limit = getrlimit(Resource::Nproc).current.filter(|_| !getuid().is_root())?;
    let used = in_use();
    (used + ENGINE > limit).then(|| {
        format!(
            "Resource temporarily unavailable: {used} of at most {limit} processes and threads are in use\n"
        )
    })
}

/// The threads of all this user's processes.
fn in_use() -> u64 {
    let own = getuid().as_raw();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let tasks = processes.filter(|entry| entry.metadata().is_ok_and(|folder| folder.uid() == own));
    tasks
        .filter_map(|entry| fs::read_dir(entry.path().join("task")).ok())
        .map(|tasks| tasks.count() as u64)
        .sum()
}
