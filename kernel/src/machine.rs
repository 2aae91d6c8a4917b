//! How many engines this machine carries: one per physical core that the kernel may use, fewer when
//! memory is short.

use std::collections::BTreeSet;

use rustix::thread::{CpuSet, sched_getaffinity};

/// What an engine with numpy and its MPI needs before it does anything, in bytes.
const ENGINE_MEMORY: u64 = 256 << 20;

/// The number of engines when nobody says one.
#[must_use]
pub(crate) fn engines() -> u32 {
    let memory = available_memory().map_or(u64::MAX, |bytes| (bytes / ENGINE_MEMORY).max(1));
    cores().min(u32::try_from(memory).unwrap_or(u32::MAX))
}

/// Physical cores in this process's affinity mask; at least 1.
#[must_use]
pub(crate) fn cores() -> u32 {
    let Ok(allowed) = sched_getaffinity(None) else { return 1 };
    let cores: BTreeSet<String> =
        (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).map(core_of).collect();
    u32::try_from(cores.len()).unwrap_or(1).max(1)
}

/// Names the core of a logical CPU: the list of its hardware threads, or itself where that is not known.
fn core_of(cpu: usize) -> String {
    let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
    std::fs::read_to_string(path).map_or_else(|_| cpu.to_string(), |list| list.trim().to_owned())
}

fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}
