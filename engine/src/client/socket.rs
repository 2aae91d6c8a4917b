//! A link of its own to a set of engines: for scripts, tests and other notebooks of the same user.
//!
//! **Invariant**: both ends are of one user and of one build, or nothing else is said; the end of the socket ends the inbox.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail};
use fabric::frame::{self, Frames};
use fabric::message::BUILD;
use fabric::message::client::{Ask, ClientHello, Told};

use super::{Inbox, Post};
use crate::threads;
use crate::undisturbed::Undisturbed;

/// Connects to the core that listens at `path`.
pub(super) fn connect(path: &Path) -> anyhow::Result<(Post, Arc<Inbox>)> {
    let mut socket = UnixStream::connect(path)
        .with_context(|| format!("no engines are to be had at `{}`", path.display()))?;
    let peer = rustix::net::sockopt::socket_peercred(&socket)?;
    // What it tells is unpickled: another user's would be code of theirs.
    if peer.uid != rustix::process::geteuid() {
        bail!("`{}` belongs to another user", path.display());
    }
    frame::write(&mut socket, &ClientHello { build: BUILD.to_owned(), pid: std::process::id() })?;
    let mut frames = Frames::default();
    let hello: ClientHello = frames.read(&mut socket)?.context("the engines' core closed the link")?;
    if hello.build != BUILD {
        bail!("the engines are of build {}, this package is of build {BUILD}: use one build", hello.build);
    }
    let inbox = Arc::new(Inbox::default());
    let (mut reading, for_thread) = (Undisturbed(socket.try_clone()?), Arc::clone(&inbox));
    threads::spawn("client", move || {
        while let Ok(Some(told)) = frames.read::<Told>(&mut reading) {
            for_thread.push(told);
            if !frames.has_one() {
                for_thread.announce();
            }
        }
        for_thread.end();
    })?;
    let writing = Mutex::new(socket);
    let post = move |ask: Ask| {
        let mut socket = writing.lock().unwrap_or_else(PoisonError::into_inner);
        frame::write(&mut *socket, &ask)
    };
    Ok((Box::new(post), inbox))
}
