//! What a container or a batch job may use: the limits of this process's control group and of those
//! above it, in both versions of the interface
//! ([v2](https://docs.kernel.org/admin-guide/cgroup-v2.html),
//! [v1](https://docs.kernel.org/admin-guide/cgroup-v1/index.html)).
//!
//! **Policy**: what cannot be read limits nothing.

use std::path::{Path, PathBuf};

/// The tightest limits found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// Bytes that are left.
    pub memory: Option<u64>,
    /// Processors' worth of time, rounded up.
    pub processors: Option<u32>,
}

impl Limits {
    /// Reads the limits of the groups that `membership`, a `/proc/self/cgroup`, names below `root`.
    pub(super) fn read(membership: &str, root: &Path) -> Self {
        let mut limits = Self::default();
        for line in membership.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { continue };
            let has = |name| controllers.split(',').any(|controller| controller == name);
            if controllers.is_empty() {
                limits.tighten(ancestors(root, group), memory_2, processors_2);
            }
            if has("memory") {
                limits.tighten(ancestors(&root.join("memory"), group), memory_1, |_| None);
            }
            if has("cpu") {
                limits.tighten(ancestors(&root.join("cpu"), group), |_| None, processors_1);
            }
        }
        limits
    }

    fn tighten(
        &mut self,
        groups: Vec<PathBuf>,
        memory: impl Fn(&Path) -> Option<u64>,
        processors: impl Fn(&Path) -> Option<u32>,
    ) {
        for group in groups {
            self.memory = self.memory.into_iter().chain(memory(&group)).min();
            self.processors = self.processors.into_iter().chain(processors(&group)).min();
        }
    }
}

/// A group's folder and those above it. In a container the path may be the host's, of which only the root is seen.
fn ancestors(root: &Path, group: &str) -> Vec<PathBuf> {
    let leaf = root.join(group.trim_start_matches('/'));
    leaf.ancestors().take_while(|folder| folder.starts_with(root)).map(Path::to_owned).collect()
}

fn number(file: &Path) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn memory_2(group: &Path) -> Option<u64> {
    left(group, number(&group.join("memory.max"))?, number(&group.join("memory.current"))?, "inactive_file")
}

fn memory_1(group: &Path) -> Option<u64> {
    // Without a limit this reads as a number of the size of the address space.
    let limit = number(&group.join("memory.limit_in_bytes")).filter(|limit| *limit < 1 << 60)?;
    left(group, limit, number(&group.join("memory.usage_in_bytes"))?, "total_inactive_file")
}

/// What is used counts files that nobody has read lately, which make room when it is needed.
fn left(group: &Path, limit: u64, used: u64, reclaimable: &str) -> Option<u64> {
    let stat = std::fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let mut lines = stat.lines().filter_map(|line| line.split_once(' '));
    let files = lines.find(|(name, _)| *name == reclaimable).and_then(|(_, bytes)| bytes.parse().ok());
    Some(limit.saturating_sub(used.saturating_sub(files.unwrap_or(0))))
}

fn processors_2(group: &Path) -> Option<u32> {
    let text = std::fs::read_to_string(group.join("cpu.max")).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    share(quota.parse().ok()?, period.parse().ok()?)
}

fn processors_1(group: &Path) -> Option<u32> {
    // -1 is no limit, and no number here.
    share(number(&group.join("cpu.cfs_quota_us"))?, number(&group.join("cpu.cfs_period_us"))?)
}

fn share(quota: u64, period: u64) -> Option<u32> {
    (period > 0).then(|| u32::try_from(quota.div_ceil(period)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with these files.
    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn the_tightest_group_on_the_way_up_counts() {
        let root = tree(&[
            ("job/memory.max", "max\n"),
            ("job/memory.current", "5\n"),
            ("job/cpu.max", "150000 100000\n"),
            ("job/step/memory.max", "1000\n"),
            ("job/step/memory.current", "700\n"),
            ("job/step/memory.stat", "anon 1\ninactive_file 200\n"),
            ("job/step/cpu.max", "max 100000\n"),
        ]);
        let limits = Limits::read("0::/job/step\n", root.path());
        assert_eq!(limits, Limits { memory: Some(500), processors: Some(2) });
    }

    #[test]
    fn the_first_version_is_read_too() {
        let root = tree(&[
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/memory.usage_in_bytes", "1\n"),
            ("memory/docker/x/memory.limit_in_bytes", "100\n"),
            ("memory/docker/x/memory.usage_in_bytes", "60\n"),
            ("cpu/cpu.cfs_quota_us", "-1\n"),
            ("cpu/cpu.cfs_period_us", "100000\n"),
            ("cpu/docker/x/cpu.cfs_quota_us", "400000\n"),
            ("cpu/docker/x/cpu.cfs_period_us", "100000\n"),
        ]);
        let limits = Limits::read("4:memory:/docker/x\n2:cpu,cpuacct:/docker/x\n", root.path());
        assert_eq!(limits, Limits { memory: Some(40), processors: Some(4) });
    }

    #[test]
    fn what_cannot_be_read_limits_nothing() {
        for membership in ["", "nonsense", "0::/gone\n", "1:memory,cpu:/gone\n"] {
            assert_eq!(Limits::read(membership, Path::new("/nonexistent")), Limits::default());
        }
    }
}
