//! Starts the zygote beside `mpiexec`.
//!
//! **Invariant**: its socket listens before any rank can ask for it, so a rank that comes early waits there. When the
//! zygote has ended nobody listens, and ranks load Python themselves.

use std::fs::{self, OpenOptions, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::Path;

use fabric::message::launcher::Zygote;
use rustix::process::Signal;

use crate::sys;

pub(super) fn start(zygote: &Zygote, set: &[(String, String)], directory: &Path) -> anyhow::Result<()> {
    // As the ranks are given it by `mpiexec`, so that their copies need not differ.
    let mut command = super::command(&zygote.command, set, directory)?;
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(&zygote.log)?;
    let listener = UnixListener::bind(&zygote.socket)?;
    fs::set_permissions(&zygote.socket, Permissions::from_mode(0o600))?;
    command.stdin(OwnedFd::from(listener)).stdout(log.try_clone()?).stderr(log);
    sys::spawn_tied(&mut command, Signal::KILL)?;
    Ok(())
}
