//! What a launcher that was killed could not remove: the runtime folder and the files that were named to it.
//!
//! **Invariant**: they go when the last process of the set that was connected has gone, never before, and only
//! when the launcher did not end by itself; then it has removed them, and the names may be somebody else's by now.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Whatever knows of a process of the set holds this; the last to let go removes.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    named: Mutex<Vec<PathBuf>>,
    launcher_died: AtomicBool,
}

impl Leftovers {
    /// These are the launcher's to remove.
    pub(super) fn name(&self, paths: &[PathBuf]) {
        self.named.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(paths);
    }

    /// The launcher did not come to it.
    pub(super) fn launcher_died(&self) {
        self.launcher_died.store(true, Ordering::SeqCst);
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        if self.launcher_died.load(Ordering::SeqCst) {
            let named = self.named.get_mut().unwrap_or_else(PoisonError::into_inner);
            named.iter().for_each(|path| remove(path));
        }
    }
}

/// What cannot be removed is not worth failing for: nobody could do anything about it.
fn remove(path: &Path) {
    let is_folder = std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
    let _ = if is_folder { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn the_last_holder_removes_after_a_launcher_that_died() {
        for died in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let (file, inner) = (folder.path().join("file"), folder.path().join("folder"));
            std::fs::write(&file, "").unwrap();
            std::fs::create_dir_all(inner.join("deeper")).unwrap();
            let leftovers = Arc::new(Leftovers::default());
            leftovers.name(&[file.clone(), inner.clone(), folder.path().join("never was")]);
            let other = Arc::clone(&leftovers);
            if died {
                leftovers.launcher_died();
            }
            drop(leftovers);
            assert!(file.exists() && inner.exists(), "somebody still holds it");
            drop(other);
            assert_eq!((file.exists(), inner.exists()), (!died, !died));
        }
    }
}
