//! What the process can tell about itself from `/proc`.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// Resident memory in bytes; 0 where it cannot be known.
pub(super) fn resident() -> u64 {
    let Ok(statm) = fs::read_to_string("/proc/self/statm") else { return 0 };
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0);
    pages * rustix::param::page_size() as u64
}

/// The shared-memory files that this process has mapped, which by now are MPI's.
pub(super) fn shared_memory() -> Vec<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let files = maps.lines().filter_map(|line| line.split_once("/dev/shm/")).map(|(_, name)| name);
    let files: BTreeSet<&str> = files.filter(|name| !name.ends_with(" (deleted)")).collect();
    files.into_iter().map(|name| PathBuf::from("/dev/shm").join(name)).collect()
}
