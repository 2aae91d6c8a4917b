//! What the process can tell about itself from `/proc`.

use std::fs;

/// Resident memory in bytes; 0 where it cannot be known.
pub(super) fn resident() -> u64 {
    let Ok(statm) = fs::read_to_string("/proc/self/statm") else { return 0 };
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0);
    pages * rustix::param::page_size() as u64
}
