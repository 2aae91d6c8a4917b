//! What this process has mapped, from `/proc/self/maps`.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// The shared-memory files that it has mapped and that have not been removed.
pub(crate) fn shared_memory() -> BTreeSet<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let files = maps.lines().filter_map(|line| line.split_once("/dev/shm/")).map(|(_, name)| name);
    let files = files.filter(|name| !name.ends_with(" (deleted)"));
    files.map(|name| PathBuf::from("/dev/shm").join(name)).collect()
}
