//! What a launcher that was killed could not remove: the runtime folder and the files that were named to it.
//!
//! **Invariant**: they go when the last process of the set that was connected has gone, never before, and only
//! when the launcher did not end by itself; then it has removed them, and the names may be somebody else's by now.
//!
//! Where everybody who would have removed them was killed at once, a note in the runtime folder says what they are,
//! and [`sweep`] finds it (`parallel-python engines clean`).

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::folders;

/// The note in a runtime folder: a JSON list of paths.
const NOTE: &str = "leftovers.json";

/// Whatever knows of a process of the set holds this; the last to let go removes.
#[derive(Debug)]
pub(super) struct Leftovers {
    note: PathBuf,
    named: Mutex<Vec<PathBuf>>,
    launcher_died: AtomicBool,
}

impl Leftovers {
    /// None yet; what they are is noted in this runtime folder.
    pub(super) fn noted_in(runtime: &Path) -> Self {
        Self { note: runtime.join(NOTE), named: Mutex::default(), launcher_died: AtomicBool::default() }
    }

    /// These are the launcher's to remove.
    pub(super) fn name(&self, paths: &[PathBuf]) {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        named.extend_from_slice(paths);
        // The folder may have gone with its set, and nothing but `sweep` misses the note.
        drop(serde_json::to_vec(&*named).map(|text| folders::write_private(&self.note, &text)));
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
            for path in named {
                remove(path);
            }
        }
    }
}

/// Removes what sets of this user have left whose every process was killed. Returns what that was.
pub(crate) fn sweep() -> Vec<PathBuf> {
    let mut bases: Vec<PathBuf> = folders::bases().collect();
    bases.sort();
    bases.dedup();
    let mut removed = Vec::new();
    for folder in bases.iter().flat_map(|base| folders::of_this_user(base)).filter(|folder| is_dead(folder)) {
        let noted = noted(&folder).into_iter().filter(|path| *path != folder);
        removed.extend(noted.chain([folder.clone()]).filter(|path| remove(path)));
    }
    removed
}

/// Whether there is a socket in a runtime folder, and nobody listens at it.
fn is_dead(folder: &Path) -> bool {
    let refuses = |name| {
        UnixStream::connect(folder.join(name))
            .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    };
    ["engines.sock", "clients.sock"].into_iter().any(refuses)
}

/// What the note in a runtime folder names and is still what it named: this user's, and not made since.
fn noted(folder: &Path) -> Vec<PathBuf> {
    let note = folder.join(NOTE);
    let Ok(since) = std::fs::metadata(&note).map(|metadata| (metadata.mtime(), metadata.mtime_nsec())) else {
        return Vec::new();
    };
    let text = std::fs::read(&note).unwrap_or_default();
    let mut paths: Vec<PathBuf> = serde_json::from_slice(&text).unwrap_or_default();
    paths.retain(|path| {
        std::fs::symlink_metadata(path).is_ok_and(|there| {
            let older = there.is_dir() || (there.mtime(), there.mtime_nsec()) <= since;
            older && there.uid() == rustix::process::getuid().as_raw()
        })
    });
    paths
}

/// What cannot be removed is not worth failing for: nobody could do anything about it. Returns whether it was.
fn remove(path: &Path) -> bool {
    let is_folder = std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
    if is_folder { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }.is_ok()
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
            let leftovers = Arc::new(Leftovers::noted_in(folder.path()));
            leftovers.name(&[file.clone(), inner.clone(), folder.path().join("never was")]);
            assert_eq!(noted(folder.path()), [file.clone(), inner.clone()]);
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

    #[test]
    fn a_folder_is_dead_when_nobody_listens_in_it() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_dead(folder.path()), "it is just being made");
        let listener = std::os::unix::net::UnixListener::bind(folder.path().join("engines.sock")).unwrap();
        assert!(!is_dead(folder.path()));
        drop(listener);
        assert!(is_dead(folder.path()));
    }

    #[test]
    fn a_note_names_nothing_that_was_made_since() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        Leftovers::noted_in(folder.path()).name(std::slice::from_ref(&file));
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(9);
        std::fs::File::create(&file).unwrap().set_modified(later).unwrap();
        assert!(noted(folder.path()).is_empty());
    }
}
