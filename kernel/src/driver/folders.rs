//! Folders of a set of engines, and what is written into them.
//!
//! **Invariant**: only this user can enter them, and they are gone with their [`TempDir`], until somebody who
//! outlives this process takes over.

use std::fs::{OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::TempDir;

/// How their names begin.
const PREFIX: &str = "parallel-python-";

/// A new folder that only this user can enter, where a socket's path stays within the system's 107 bytes.
pub(super) fn runtime() -> anyhow::Result<TempDir> {
    let mut failure = None;
    for base in bases() {
        let what = || format!("cannot make a folder in `{}`", base.display());
        match new(&base).with_context(what) {
            Ok(folder) => return Ok(folder),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| anyhow::anyhow!("there is no folder for sockets")))
}

/// Where such folders are made, the best place first.
pub(super) fn bases() -> impl Iterator<Item = PathBuf> {
    const ROOM: usize = 107 - "/parallel-python-XXXXXX/engines.sock".len();
    let wanted =
        std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).into_iter().chain([std::env::temp_dir()]);
    wanted.filter(|base| base.as_os_str().len() <= ROOM).chain([PathBuf::from("/tmp")])
}

/// The folders of this kind in `base` that are this user's.
pub(super) fn of_this_user(base: &Path) -> Vec<PathBuf> {
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(PREFIX)
            && std::fs::symlink_metadata(path)
                .is_ok_and(|found| found.is_dir() && found.uid() == rustix::process::getuid().as_raw())
    };
    let entries = std::fs::read_dir(base).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(is_ours).collect()
}

/// A new folder for shared memory, if this machine has any.
pub(super) fn shared_memory() -> Option<TempDir> {
    new(Path::new("/dev/shm")).ok()
}

fn new(base: &Path) -> std::io::Result<TempDir> {
    tempfile::Builder::new().prefix(PREFIX).permissions(owner_only(0o700)).tempdir_in(base)
}

/// A file's or folder's mode.
pub(super) fn owner_only(mode: u32) -> Permissions {
    Permissions::from_mode(mode)
}

/// Writes a file that only this user can read, in a folder that only this user can enter.
pub(super) fn write_private(path: &Path, contents: &[u8]) -> anyhow::Result<()> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(contents)
    };
    write().with_context(|| format!("cannot write `{}`", path.display()))
}
