//! Shared memory of an MPI whose ranks were killed while it started, before any of them could note it.
//!
//! **Invariant**: a file is an orphan only when it has a name that MPICH gives, is this user's, was made since the
//! engines were launched, and no process of this user's has it open or mapped.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Where POSIX shared memory lies on Linux (shm_overview(7)).
const SHARED_MEMORY: &str = "/dev/shm";

/// The orphans that were made since `launched`.
pub(super) fn since(launched: SystemTime) -> Vec<PathBuf> {
    let mut found = candidates(Path::new(SHARED_MEMORY), launched);
    if !found.is_empty() {
        found.retain(|path| !is_in_use(path));
    }
    found
}

/// What MPI may have made in a folder since then.
fn candidates(folder: &Path, launched: SystemTime) -> Vec<PathBuf> {
    let own = rustix::process::getuid().as_raw();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_mpichs));
    let made = named.filter(|entry| {
        entry.metadata().is_ok_and(|file| {
            file.is_file() && file.uid() == own && file.created().is_ok_and(|made| made >= launched)
        })
    });
    made.map(|entry| entry.path()).collect()
}

/// Whether MPICH names files so: `mpich_shm_<world>_<node>` since version 4.1, `mpich_s_shar_tmp??????` before.
fn is_mpichs(name: &str) -> bool {
    let numbers = ["mpich_shm_", "mpich_vci_"].iter().find_map(|prefix| name.strip_prefix(prefix));
    let random = ["mpich_s_shar_tmp", "mpich_shar_tmp"].iter().find_map(|prefix| name.strip_prefix(prefix));
    let is_world = |(world, node): (&str, &str)| {
        let digits = |text: &str, radix| !text.is_empty() && text.chars().all(|digit| digit.is_digit(radix));
        digits(world, 16) && digits(node, 10)
    };
    numbers.and_then(|rest| rest.split_once('_')).is_some_and(is_world)
        || random.is_some_and(|rest| rest.len() == 6 && rest.chars().all(char::is_alphanumeric))
}

/// Whether a process that this user may look at has it open or mapped.
fn is_in_use(path: &Path) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    let holds = |process: PathBuf| {
        let maps = fs::read_to_string(process.join("maps")).unwrap_or_default();
        let open = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        let mut open = open.filter_map(|entry| fs::read_link(entry.path()).ok());
        maps.lines().any(|line| line.ends_with(&*path.to_string_lossy())) || open.any(|other| other == path)
    };
    processes.into_iter().any(holds)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_mpichs_names() {
        let table = [
            ("mpich_shm_75d4e3d_0", true),
            ("mpich_vci_75d4e3d_12", true),
            ("mpich_s_shar_tmpa8XzQ1", true),
            ("mpich_shar_tmpa8XzQ1", true),
            ("mpich_shm_somebody", false),
            ("mpich_shm_somebody_0", false),
            ("mpich_shm__0", false),
            ("mpich_shm_75d4e3d", false),
            ("mpich_s_shar_tmpa8XzQ1.bak", false),
            ("sem.75d4e3d_0", false),
        ];
        for (name, ours) in table {
            assert_eq!(is_mpichs(name), ours, "{name}");
        }
    }

    #[test]
    fn only_what_is_new_and_held_by_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let (held, left) = (folder.path().join("mpich_shm_1_0"), folder.path().join("mpich_shm_2_0"));
        let before = SystemTime::now() - Duration::from_mins(1);
        let holder = fs::File::create(&held).unwrap();
        fs::write(&left, "").unwrap();
        fs::write(folder.path().join("notes"), "").unwrap();
        let mut found = candidates(folder.path(), before);
        found.sort();
        assert_eq!(found, [held.clone(), left.clone()]);
        assert!(candidates(folder.path(), SystemTime::now() + Duration::from_mins(1)).is_empty());
        assert!(is_in_use(&held));
        assert!(!is_in_use(&left));
        drop(holder);
        assert!(!is_in_use(&held));
    }
}
