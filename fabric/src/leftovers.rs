//! What a set of engines leaves outside its runtime folder when it is killed, shared memory above all: each is
//! noted by a link in the folder, and goes with it.
//!
//! **Invariant**: a note is a file, so it outlives whoever made it. Only what is still what was noted is removed: a
//! file of another inode has been made since, and is somebody else's.
//!
//! Who makes a file notes it (the kernel its folders, a worker what its MPI has mapped); the launcher removes when
//! nothing is left that could use it, the kernel where the launcher was killed. What MPI has made without starting
//! nobody could note: it is looked for ([`orphans`]).

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

mod orphans;

/// The folder of the notes, in a runtime folder.
const NOTES: &str = "leftovers";

/// The file in a runtime folder which says that what MPI has made is noted.
const STARTED: &str = "mpi-has-started";

/// Notes that `path`, a file or a folder with all in it, is to go with this runtime folder.
///
/// # Errors
///
/// When there is no such file or the note cannot be written. That it is there already is none.
pub fn note(runtime: &Path, path: &Path) -> io::Result<()> {
    let notes = runtime.join(NOTES);
    fs::create_dir_all(&notes)?;
    match std::os::unix::fs::symlink(path, notes.join(inode(path)?.to_string())) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Notes that MPI has started, and what it has made.
///
/// # Errors
///
/// As [`note`]: the first, after all have been tried.
pub fn note_mpi(runtime: &Path, made: impl IntoIterator<Item = PathBuf>) -> io::Result<()> {
    let tried: Vec<io::Result<()>> = made.into_iter().map(|file| note(runtime, &file)).collect();
    OpenOptions::new().create(true).append(true).mode(0o600).open(runtime.join(STARTED))?;
    tried.into_iter().collect()
}

/// Removes a file, or a folder with all in it and what was noted there. Returns what was removed: what cannot be is
/// not worth failing for, since nobody is left to do anything about it.
pub fn remove(path: &Path) -> Vec<PathBuf> {
    let outside = noted(path).into_iter().chain(unnoted(path)).filter(|path| unlink(path));
    let mut removed: Vec<PathBuf> = outside.collect();
    if unlink(path) {
        removed.push(path.to_owned());
    }
    removed
}

/// What is noted in a runtime folder and is still what was meant.
fn noted(runtime: &Path) -> Vec<PathBuf> {
    let notes = fs::read_dir(runtime.join(NOTES)).into_iter().flatten().flatten();
    let path = |note: fs::DirEntry| {
        let path = fs::read_link(note.path()).ok()?;
        let is_same = inode(&path).is_ok_and(|inode| *note.file_name() == *inode.to_string());
        is_same.then_some(path)
    };
    notes.filter_map(path).collect()
}

/// What an MPI that has not started has made for the set with this runtime folder.
fn unnoted(runtime: &Path) -> Vec<PathBuf> {
    if !runtime.join(NOTES).is_dir() || runtime.join(STARTED).exists() {
        return Vec::new();
    }
    let launched = fs::metadata(runtime).and_then(|folder| folder.created());
    launched.map(orphans::since).unwrap_or_default()
}

fn inode(path: &Path) -> io::Result<u64> {
    fs::symlink_metadata(path).map(|there| there.ino())
}

fn unlink(path: &Path) -> bool {
    let is_folder = fs::symlink_metadata(path).is_ok_and(|there| there.is_dir());
    if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) }.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_goes_with_the_folder() {
        let outside = tempfile::tempdir().unwrap();
        let (file, folder) = (outside.path().join("file"), outside.path().join("folder"));
        let runtime = outside.path().join("runtime");
        fs::write(&file, "").unwrap();
        fs::create_dir_all(folder.join("deeper")).unwrap();
        fs::create_dir(&runtime).unwrap();
        for path in [&file, &folder, &file] {
            note(&runtime, path).unwrap();
        }
        // Or the files of other tests would be looked for.
        note_mpi(&runtime, []).unwrap();
        let mut removed = remove(&runtime);
        removed.sort();
        assert_eq!(removed, [file, folder, runtime]);
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_was_made_since_stays() {
        let outside = tempfile::tempdir().unwrap();
        let (file, runtime) = (outside.path().join("file"), outside.path().join("runtime"));
        fs::write(&file, "").unwrap();
        note(&runtime, &file).unwrap();
        note_mpi(&runtime, []).unwrap();
        let other = outside.path().join("other");
        fs::write(&other, "").unwrap();
        fs::rename(other, &file).unwrap();
        assert_eq!(remove(&runtime), [runtime]);
        assert!(file.exists());
    }

    #[test]
    fn what_mpi_made_is_looked_for_only_where_it_has_not_started() {
        let outside = tempfile::tempdir().unwrap();
        let (file, runtime) = (outside.path().join("file"), outside.path().join("runtime"));
        fs::write(&file, "").unwrap();
        fs::create_dir(&runtime).unwrap();
        let orphan = PathBuf::from(format!("/dev/shm/mpich_shm_{:x}_0", std::process::id()));
        fs::write(&orphan, "").unwrap();
        assert!(unnoted(&runtime).is_empty(), "no set's runtime folder");
        note(&runtime, &file).unwrap();
        assert!(unnoted(&runtime).contains(&orphan));
        note_mpi(&runtime, []).unwrap();
        assert!(unnoted(&runtime).is_empty());
        fs::remove_file(orphan).unwrap();
    }

    #[test]
    fn what_is_not_there_is_neither_noted_nor_removed() {
        let outside = tempfile::tempdir().unwrap();
        assert!(note(outside.path(), &outside.path().join("never was")).is_err());
        assert!(remove(Path::new("/nowhere/at all")).is_empty());
    }
}
