//! What a launcher that was killed could not remove: the runtime folder with all that is noted in it.
//!
//! **Invariant**: it goes when the last process of the set that was connected has gone, never before, and only
//! when the launcher did not end by itself; then it has removed it.
//!
//! Where everybody who would have removed it was killed at once, [`sweep`] finds it
//! (`parallel-python engines clean`).

use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use fabric::leftovers;

use super::folders;

/// Whatever knows of a process of the set holds this; the last to let go removes.
#[derive(Debug)]
pub(super) struct Leftovers {
    runtime: PathBuf,
    launcher_died: AtomicBool,
}

impl Leftovers {
    /// Those of the set with this runtime folder.
    pub(super) fn of(runtime: &Path) -> Self {
        Self { runtime: runtime.to_owned(), launcher_died: AtomicBool::default() }
    }

    /// The launcher did not come to it.
    pub(super) fn launcher_died(&self) {
        self.launcher_died.store(true, Ordering::SeqCst);
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        if self.launcher_died.load(Ordering::SeqCst) {
            leftovers::remove(&self.runtime);
        }
    }
}

/// Removes what sets of this user have left whose every process was killed. Returns what that was.
pub(crate) fn sweep() -> Vec<PathBuf> {
    let mut bases: Vec<PathBuf> = folders::bases().collect();
    bases.sort();
    bases.dedup();
    let folders = bases.iter().flat_map(|base| folders::of_this_user(base));
    folders.filter(|folder| is_dead(folder)).flat_map(|folder| leftovers::remove(&folder)).collect()
}

/// Whether there is a socket in a runtime folder, and nobody listens at it.
fn is_dead(folder: &Path) -> bool {
    let refuses = |name| {
        UnixStream::connect(folder.join(name))
            .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    };
    ["engines.sock", "clients.sock"].into_iter().any(refuses)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn the_last_holder_removes_after_a_launcher_that_died() {
        for died in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let runtime = folder.path().join("runtime");
            std::fs::create_dir(&runtime).unwrap();
            let leftovers = Arc::new(Leftovers::of(&runtime));
            let other = Arc::clone(&leftovers);
            if died {
                leftovers.launcher_died();
            }
            drop(leftovers);
            assert!(runtime.exists(), "somebody still holds it");
            drop(other);
            assert_eq!(runtime.exists(), !died);
        }
    }

    #[test]
    fn a_folder_is_dead_when_nobody_listens_in_it() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_dead(folder.path()), "it is just being made");
        let listener = std::os::unix::net::UnixListener::bind(folder.path().join("engines.sock")).unwrap();
        assert!(!is_dead(folder.path()));
        drop(listener);
        assert!(is_dead(folder.path()));
    }
}
