//! How many engines this machine carries: one per physical core that the kernel may use, fewer where a
//! container may not use its cores in full, and fewer when memory is short.
//!
//! Read when it is asked for: a batch job's limits are those of the moment at which engines start.

mod cgroup;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use rustix::thread::{CpuSet, sched_getaffinity};

use cgroup::Limits;

/// What an engine with numpy and its MPI needs before it does anything, in bytes.
const ENGINE_MEMORY: u64 = 256 << 20;

/// What decides how many engines there are when nobody says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capacity {
    /// Physical cores in this process's affinity mask; at least 1.
    pub cores: u32,
    /// How many processors' worth of time the process's cgroup may use, where that is limited.
    pub quota: Option<u32>,
    /// Bytes that can be had without swapping or being killed, where that is known.
    pub memory: Option<u64>,
}

impl Capacity {
    /// What holds for this process now.
    #[must_use]
    pub(crate) fn now() -> Self {
        let membership = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let limits = Limits::read(&membership, Path::new("/sys/fs/cgroup"));
        let memory = [available_memory(), limits.memory].into_iter().flatten().min();
        Self { cores: physical_cores(), quota: limits.processors, memory }
    }

    /// Cores that can be busy at the same time.
    #[must_use]
    pub(crate) fn usable_cores(&self) -> u32 {
        self.quota.map_or(self.cores, |quota| self.cores.min(quota)).max(1)
    }

    /// The number of engines when nobody says one.
    #[must_use]
    pub(crate) fn engines(&self) -> u32 {
        let fit = self.memory.map_or(u64::MAX, |bytes| bytes / ENGINE_MEMORY);
        self.usable_cores().min(u32::try_from(fit).unwrap_or(u32::MAX)).max(1)
    }

    /// "2 engines by default: 2 cores, 1.5 GiB of memory to be had"
    #[must_use]
    pub(crate) fn explain(&self) -> String {
        let mut text =
            format!("{} by default: {}", count(self.engines(), "engine"), count(self.cores, "core"));
        if let Some(quota) = self.quota.filter(|quota| *quota < self.cores) {
            let _ = write!(text, ", of which a limit on processor time leaves {quota}");
        }
        if let Some(memory) = self.memory {
            let _ = write!(text, ", {} of memory to be had", gibibytes(memory));
        }
        text
    }
}

/// Cores that can be busy at the same time.
#[must_use]
pub(crate) fn cores() -> u32 {
    Capacity::now().usable_cores()
}

/// "1 engine", "4 engines"
pub(crate) fn count(number: u32, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// "1.5 GiB", and below one "512 MiB".
pub(crate) fn gibibytes(bytes: u64) -> String {
    match bytes >> 20 {
        mebibytes @ ..1024 => format!("{mebibytes} MiB"),
        mebibytes => format!("{}.{} GiB", mebibytes >> 10, ((mebibytes & 1023) * 10) >> 10),
    }
}

fn physical_cores() -> u32 {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scarcest_thing_decides() {
        const GIB: u64 = 1 << 30;
        for (cores, quota, memory, engines) in [
            (8, None, Some(64 * GIB), 8),
            (8, Some(3), Some(64 * GIB), 3),
            (2, Some(16), None, 2),
            (8, None, Some(GIB), 4),
            (8, None, Some(GIB / 2 + 1), 2),
            (8, None, Some(1), 1),
            (1, Some(0), None, 1),
        ] {
            assert_eq!(Capacity { cores, quota, memory }.engines(), engines);
        }
    }

    #[test]
    fn the_reason_is_said() {
        let capacity = Capacity { cores: 8, quota: Some(2), memory: Some((3 << 30) / 2) };
        assert_eq!(
            capacity.explain(),
            "2 engines by default: 8 cores, of which a limit on processor time leaves 2, 1.5 GiB of memory to be had"
        );
        assert_eq!(Capacity { cores: 1, quota: None, memory: None }.explain(), "1 engine by default: 1 core");
    }
}
