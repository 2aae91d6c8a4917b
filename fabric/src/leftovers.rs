//! What a set of engines leaves outside its runtime folder when it is killed, shared memory above all: each is
//! noted by a link in the folder, and goes with it.
//!
//! **Invariant**: a note is a file, so it outlives whoever made it. Only what is still what was noted is removed: a
//! file of another inode has been made since, and is somebody else's.
//!
//! Who makes a file notes it (the kernel its folders, a worker what its MPI has mapped); the launcher removes when
//! nothing is left that could use it, the kernel where the launcher was killed.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The folder of the notes, in a runtime folder.
const NOTES: &str = "leftovers";

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

/// Removes a file, or a folder with all in it and what was noted there. Returns what was removed: what cannot be is
/// not worth failing for, since nobody is left to do anything about it.
pub fn remove(path: &Path) -> Vec<PathBuf> {
    let noted = noted(path).into_iter().filter(|path| unlink(path));
    let mut removed: Vec<PathBuf> = noted.collect();
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
        let other = outside.path().join("other");
        fs::write(&other, "").unwrap();
        fs::rename(other, &file).unwrap();
        assert_eq!(remove(&runtime), [runtime]);
        assert!(file.exists());
    }

    #[test]
    fn what_is_not_there_is_neither_noted_nor_removed() {
        let outside = tempfile::tempdir().unwrap();
        assert!(note(outside.path(), &outside.path().join("never was")).is_err());
        assert!(remove(Path::new("/nowhere/at all")).is_empty());
    }
}
