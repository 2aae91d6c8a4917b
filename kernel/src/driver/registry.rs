//! Where sets of engines are found: one small file for each, in a folder of this user's.
//!
//! **Invariant**: only this user can enter the folder; a file is removed by whoever wrote it, or by whoever finds
//! that nobody listens any more where it points.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::Context;
use fabric::message::BUILD;
use serde::{Deserialize, Serialize};

/// One set of engines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The name under which it is asked for.
    pub(crate) profile: String,
    /// `headless` or `kernel`.
    pub(crate) kind: String,
    /// The process that owns it.
    pub(crate) pid: u32,
    /// Where clients connect.
    pub(crate) socket: PathBuf,
    /// What it was built as.
    pub(crate) build: String,
    /// When it was started, in seconds since the epoch.
    pub(crate) started: f64,
    /// How many engines there are to be.
    pub(crate) engines: u32,
}

/// The kind of a set that no notebook owns.
pub(crate) const HEADLESS: &str = "headless";

impl Entry {
    /// What is said to whoever wants to start another set of its name.
    pub(crate) fn runs_already(&self) -> String {
        format!(
            "the engines of profile `{0}` run already (pid {1}); `parallel-python engines stop --profile {0}` ends them, \
             `parallel-python engines restart --profile {0} -n N` has N in their place",
            self.profile, self.pid
        )
    }
}

/// A file that is removed with this.
#[derive(Debug)]
pub(crate) struct Registered {
    entry: Entry,
    path: PathBuf,
}

impl Registered {
    /// Notes that there are to be so many engines from now on.
    pub(crate) fn resize(&mut self, engines: u32) {
        if self.entry.engines != engines {
            self.entry.engines = engines;
            if let Err(error) = write(&self.entry, &self.path) {
                tracing::warn!("{error:#}");
            }
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.path));
    }
}

/// Writes an entry, whole or not at all. Of sets that no notebook owns there is one of a name, also where several are
/// started in the same moment.
///
/// # Errors
/// When the folder cannot be written, or there is such a set.
pub(crate) fn register(entry: Entry) -> anyhow::Result<Registered> {
    // Until the entry is written nobody else looks.
    let folder = std::fs::File::open(folder()?)?;
    rustix::fs::flock(&folder, rustix::fs::FlockOperation::LockExclusive)?;
    let is_other = |there: &Entry| there.kind == HEADLESS && there.profile == entry.profile;
    if entry.kind == HEADLESS
        && let Some(there) = entries()?.into_iter().find(is_other)
    {
        anyhow::bail!(there.runs_already());
    }
    let path = file(&entry)?;
    write(&entry, &path)?;
    Ok(Registered { entry, path })
}

fn write(entry: &Entry, path: &Path) -> anyhow::Result<()> {
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new("/")))?;
        serde_json::to_writer_pretty(&mut file, entry)?;
        file.persist(path).map_err(|error| error.error)?;
        std::io::Result::Ok(())
    };
    write().with_context(|| format!("cannot write `{}`", path.display()))
}

/// The file of an entry.
///
/// # Errors
/// When there is no folder for it.
pub(crate) fn file(entry: &Entry) -> anyhow::Result<PathBuf> {
    Ok(folder()?.join(format!("{}-{}.json", entry.kind, entry.pid)))
}

/// Every set that is there. What nobody listens for any more is removed.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn entries() -> anyhow::Result<Vec<Entry>> {
    Ok(look()?.0)
}

/// Removes what nobody listens for any more, and says what that was.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn sweep() -> anyhow::Result<Vec<PathBuf>> {
    Ok(look()?.1)
}

fn look() -> anyhow::Result<(Vec<Entry>, Vec<PathBuf>)> {
    let (mut entries, mut removed) = (Vec::new(), Vec::new());
    for file in std::fs::read_dir(folder()?)?.flatten() {
        let path = file.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let Some(entry) =
            std::fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Entry>(&text).ok())
        else {
            continue;
        };
        if is_alive(&entry) {
            entries.push(entry);
        } else {
            remove_socket(&entry.socket);
            if std::fs::remove_file(&path).is_ok() {
                removed.push(path);
            }
        }
    }
    entries.sort_by(|a, b| a.started.total_cmp(&b.started));
    Ok((entries, removed))
}

/// The set of a profile that a client of this build can use: one that was started for its own sake goes first.
///
/// # Errors
/// A sentence for the user: there is none, and what there is.
pub(crate) fn find(profile: &str) -> anyhow::Result<Entry> {
    let mut there = entries()?;
    there.sort_by_key(|entry| entry.kind != HEADLESS);
    let known: Vec<String> = there.iter().map(|entry| format!("`{}`", entry.profile)).collect();
    let Some(found) = there.into_iter().find(|entry| entry.profile == profile) else {
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        anyhow::bail!(
            "no engines of profile `{profile}` run for this user (`parallel-python engines list` shows: {known}); \
             `parallel-python engines start --profile {profile} --daemonize` starts some"
        )
    };
    if found.build != BUILD {
        anyhow::bail!(
            "the engines of profile `{profile}` (pid {}) are of build {}, this kernel is of build {BUILD}: stop them \
             and start them with this installation's `parallel-python engines`",
            found.pid,
            found.build,
        );
    }
    Ok(found)
}

/// Removes a client socket and the folder that was made for it, if there is nothing else in that.
pub(crate) fn remove_socket(socket: &Path) {
    if socket.file_name().is_some_and(|name| name == "clients.sock") {
        drop(std::fs::remove_file(socket));
        drop(socket.parent().map(std::fs::remove_dir));
    }
}

/// Whether somebody listens, and it is the process that wrote the entry.
fn is_alive(entry: &Entry) -> bool {
    let Ok(stream) = UnixStream::connect(&entry.socket) else { return false };
    rustix::net::sockopt::socket_peercred(&stream)
        .is_ok_and(|peer| peer.pid.as_raw_nonzero().get().cast_unsigned() == entry.pid)
}

/// `$XDG_RUNTIME_DIR/parallel-python`, or `~/.parallel-python/run`.
fn folder() -> anyhow::Result<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|base| base.is_dir());
    let folder = match (runtime, std::env::var_os("HOME")) {
        (Some(base), _) => base.join("parallel-python"),
        (None, Some(home)) => PathBuf::from(home).join(".parallel-python/run"),
        (None, None) => anyhow::bail!("there is neither XDG_RUNTIME_DIR nor HOME to note engines in"),
    };
    let make = || {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700))
    };
    make().with_context(|| format!("cannot make `{}`", folder.display()))?;
    Ok(folder)
}
