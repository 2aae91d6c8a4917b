//! `installed.json`: what was made below one prefix, and the lock on it.
//!
//! **Invariant**: whoever changes an installation holds the lock of its folder from the first look to the last
//! change.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::files;

const FILE: &str = "installed.json";

/// Builds that are kept: the one in use, and the one before for kernels that run on it.
const KEPT: usize = 2;

/// What was made. Paths below the prefix are given without it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    /// The folders of kernelspecs.
    pub kernels: BTreeSet<PathBuf>,
    /// The names of builds, the newest last.
    builds: Vec<String>,
    /// Whether there is a command for terminals.
    pub command: bool,
    /// The file by which the Python of the prefix finds the package.
    pub entry: Option<PathBuf>,
    /// The files of the clusters panel.
    panel: BTreeSet<PathBuf>,
    /// Folders that were not there before, each after the one it is in.
    folders: Vec<PathBuf>,
}

impl Record {
    /// `build` is there or about to be, and the one in use from now on.
    pub(super) fn add_build(&mut self, build: &str) {
        self.builds.retain(|present| present != build);
        self.builds.push(build.to_owned());
    }
}

/// The record, and the right to change it.
#[derive(Debug)]
pub(super) struct Held {
    prefix: PathBuf,
    folder: PathBuf,
    pub(super) record: Record,
    _lock: File,
}

impl Held {
    /// Waits for the right to change what is installed in `folder`, which is made together with `others`.
    ///
    /// # Errors
    /// When a folder cannot be made, or the record cannot be read.
    pub(super) fn take(folder: &Path, others: &[PathBuf]) -> anyhow::Result<Self> {
        let prefix = folder.ancestors().nth(2).unwrap_or(folder).to_owned();
        let mut made = files::make_folder(folder)?;
        let lock = lock(folder, &mut made)?;
        let mut record = read(&folder.join(FILE))?;
        for other in others {
            made.extend(files::make_folder(other)?);
        }
        let relative = |folder: &PathBuf| folder.strip_prefix(&prefix).unwrap_or(folder).to_owned();
        record.folders.extend(made.iter().map(relative));
        Ok(Self { prefix, folder: folder.to_owned(), record, _lock: lock })
    }

    /// Writes the record.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn save(&self) -> anyhow::Result<()> {
        let text = serde_json::to_vec_pretty(&self.record)?;
        files::put(&self.folder.join(FILE), &text, 0o644).map(drop)
    }

    /// Notes which files of the clusters panel there are from now on, and removes those of before.
    ///
    /// # Errors
    /// What could not be removed.
    pub(super) fn replace_panel(&mut self, files: impl IntoIterator<Item = PathBuf>) -> anyhow::Result<()> {
        let files = files.into_iter().collect();
        for old in self.record.panel.difference(&files) {
            files::remove(&self.prefix.join(old))?;
        }
        self.record.panel = files;
        self.save()
    }

    /// Removes builds that nobody is expected to run any more.
    ///
    /// # Errors
    /// What could not be removed.
    pub(super) fn sweep(&mut self) -> anyhow::Result<()> {
        let surplus = self.record.builds.len().saturating_sub(KEPT);
        let old: Vec<String> = self.record.builds.drain(..surplus).collect();
        self.remove_builds(&old)?;
        self.save()
    }

    /// Removes everything but the kernelspecs. Returns what stays because it is not ours.
    ///
    /// # Errors
    /// What could not be removed.
    pub(super) fn remove_all(self, current: &str) -> anyhow::Result<Vec<PathBuf>> {
        files::remove(&self.folder.join(current))?;
        self.remove_builds(&self.record.builds)?;
        files::remove(&self.folder.join(FILE))?;
        let left = files::leftover(&self.folder);
        // The innermost first; one that holds something else stays.
        for folder in self.record.folders.iter().rev() {
            let _ = fs::remove_dir(self.prefix.join(folder));
        }
        Ok(left)
    }

    fn remove_builds(&self, builds: &[String]) -> anyhow::Result<()> {
        for folder in builds.iter().map(|build| self.folder.join(build)).filter(|folder| folder.exists()) {
            fs::remove_dir_all(&folder).map_err(|error| files::cannot("remove", &folder, error))?;
        }
        Ok(())
    }
}

fn read(path: &Path) -> anyhow::Result<Record> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)
            .with_context(|| format!("`{}` is not a record of an installation", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Record::default()),
        Err(error) => Err(files::cannot("read", path, error)),
    }
}

/// Locks the folder itself. An uninstallation that held the lock has removed the folder: then it is made again.
fn lock(folder: &Path, made: &mut Vec<PathBuf>) -> anyhow::Result<File> {
    loop {
        let lock = File::open(folder).map_err(|error| files::cannot("open", folder, error))?;
        // Some network file systems have no locks; then the last one to write wins.
        let _ = flock(&lock, FlockOperation::LockExclusive);
        let locked = lock.metadata().map(|metadata| metadata.ino()).ok();
        if fs::metadata(folder).map(|metadata| metadata.ino()).ok() == locked {
            return Ok(lock);
        }
        made.extend(files::make_folder(folder)?);
    }
}
