//! One rank, as `mpiexec` knows it. Its worker is a copy of the zygote's Python where one can be had; then this
//! process waits for the worker's supervisor. Otherwise it starts the worker and is the supervisor itself.
//!
//! **Invariant**: whoever `mpiexec` kills here takes the worker along: the supervisor ends with its rank.

use std::ffi::OsStr;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context as _, bail};
use fabric::environment;
use fabric::frame::{self, Frames};
use fabric::message::zygote::{FromZygote, Order};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg, sockopt};
use serde_bytes::ByteBuf;

use crate::remains::Remains;
use crate::{supervisor, surroundings, sys};

/// Runs until the rank's worker and everything below it has ended.
pub(crate) fn run(config: &Path) -> anyhow::Result<()> {
    let set = crate::config::read(config)?;
    let (remains, words) = Remains::new(&set)?;
    let forked = set.zygote.as_deref().and_then(|zygote| {
        let descriptors = [words.as_fd(), remains.faults.as_fd()];
        fork(zygote, descriptors, supervisor_of(config, &remains.log).ok()?)
    });
    let Some((mut zygote, mut frames)) = forked else {
        return supervisor::start(config, &set, remains, words);
    };
    drop((remains, words));
    match frames.read(&mut zygote) {
        Ok(Some(FromZygote::Over)) => Ok(()),
        _ => bail!("the supervisor of this rank has been killed"),
    }
}

/// The command of a supervisor, for the zygote to complete.
fn supervisor_of(config: &Path, log: &Path) -> anyhow::Result<Vec<ByteBuf>> {
    let executable = std::env::current_exe().context("cannot find out where this executable is")?;
    let words = [
        executable.as_os_str(),
        "supervisor".as_ref(),
        "--config".as_ref(),
        config.as_os_str(),
        "--log".as_ref(),
        log.as_os_str(),
    ];
    Ok(words.into_iter().map(bytes).collect())
}

/// Asks for a worker. None: there is no zygote on this machine, or what it makes would not live as this process does.
fn fork(zygote: &Path, own: [BorrowedFd<'_>; 2], supervisor: Vec<ByteBuf>) -> Option<(UnixStream, Frames)> {
    let mut zygote = UnixStream::connect(zygote).ok()?;
    // Who listens is the launcher; the zygote is its child.
    let launcher = sockopt::socket_peercred(&zygote).ok()?.pid;
    if !surroundings::are_shared_with(launcher) {
        return None;
    }
    let inherited = sys::inheritable();
    let order = Order {
        environment: environment::own(),
        directory: bytes(std::env::current_dir().ok()?.as_os_str()),
        descriptors: inherited.iter().map(|descriptor| descriptor.as_raw_fd()).collect(),
        supervisor,
    };
    let handed: Vec<BorrowedFd<'_>> = own.into_iter().chain(inherited).collect();
    hand_over(&zygote, &handed).ok()?;
    frame::write(&mut zygote, &order).ok()?;
    let mut frames = Frames::default();
    match frames.read(&mut zygote) {
        Ok(Some(FromZygote::Forked)) => Some((zygote, frames)),
        _ => None,
    }
}

/// Sends one byte with descriptors beside it (unix(7)).
///
/// # Errors
/// Also when there are more than the system carries, which is 253.
fn hand_over(zygote: &UnixStream, descriptors: &[BorrowedFd<'_>]) -> rustix::io::Result<()> {
    let message = SendAncillaryMessage::ScmRights(descriptors);
    let mut space = vec![MaybeUninit::uninit(); message.size()];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    beside.push(message);
    sendmsg(zygote, &[IoSlice::new(&[0])], &mut beside, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn bytes(text: &OsStr) -> ByteBuf {
    ByteBuf::from(text.as_bytes())
}
