//! Clients with a socket of their own: scripts, tests, other notebooks of the same user.
//!
//! **Invariant**: the socket lies in a folder that only this user can enter, every peer is this user, and each
//! side says which build it is of before anything else.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use fabric::message::BUILD;
use fabric::message::client::{Ask, ClientHello, Told};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::Sender;

use super::connections::is_this_user;
use super::folders;
use super::halves;
use super::link::{Link, Reader};
use super::registry::{self, Entry, Registered};
use super::{Input, epoch};
use crate::clients::ClientId;

/// The clients that are connected.
#[derive(Debug, Default)]
pub(super) struct Connected {
    links: HashMap<ClientId, Link>,
}

impl Connected {
    pub(super) fn joined(&mut self, client: ClientId, link: Link) {
        self.links.insert(client, link);
    }

    pub(super) fn left(&mut self, client: ClientId) {
        self.links.remove(&client);
    }

    pub(super) fn tell(&self, client: ClientId, told: &Told) {
        if let Some(link) = self.links.get(&client) {
            link.send(told);
        }
    }
}

/// A socket for clients that is found by its set's name. Dropping it ends both.
#[derive(Debug)]
pub(super) struct Door {
    registered: Registered,
    socket: Socket,
}

impl Door {
    /// Opens a socket and notes whose it is; who connects is passed on to the loop.
    pub(super) fn open(
        inputs: &Sender<Input>,
        profile: String,
        kind: &str,
        engines: u32,
    ) -> anyhow::Result<Self> {
        let socket = Socket(folders::runtime()?.keep().join("clients.sock"));
        let listener = UnixListener::bind(&socket.0)
            .with_context(|| format!("cannot listen on `{}`", socket.0.display()))?;
        tokio::spawn(listen(listener, inputs.clone()));
        let registered = registry::register(Entry {
            profile,
            kind: kind.to_owned(),
            pid: std::process::id(),
            socket: socket.0.clone(),
            build: BUILD.to_owned(),
            started: epoch(),
            engines,
        })?;
        Ok(Self { registered, socket })
    }

    /// There are to be so many engines from now on.
    pub(super) fn resize(&mut self, engines: u32) {
        self.registered.resize(engines);
    }

    /// What is to be removed with it, by somebody else if this process cannot.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let folder = self.socket.0.parent().map(Path::to_owned);
        folder.into_iter().chain([self.registered.path().to_owned()]).collect()
    }
}

/// The path of a socket in a folder of its own; both go with it.
#[derive(Debug)]
struct Socket(PathBuf);

impl Drop for Socket {
    fn drop(&mut self) {
        registry::remove_socket(&self.0);
    }
}

async fn listen(listener: UnixListener, inputs: Sender<Input>) {
    // The notebook's own Python is number 0.
    for client in 1.. {
        match listener.accept().await {
            Ok((stream, _)) if is_this_user(&stream) => {
                tokio::spawn(converse(client, stream, inputs.clone()));
            }
            Ok(_) => tracing::warn!("another user's process connected to the client socket: refused"),
            Err(error) => {
                tracing::warn!("a client could not connect: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
    }
}

/// One connection from its hello to its end.
async fn converse(client: ClientId, stream: UnixStream, inputs: Sender<Input>) {
    let (reading, writing) = match halves::split(stream) {
        Ok(halves) => halves,
        Err(error) => return tracing::warn!("a client could not connect: {error}"),
    };
    let (mut reader, link) = (Reader::new(reading), Link::start(writing));
    // The first word, so that a client of another build can say so.
    link.send(&ClientHello { build: BUILD.to_owned(), pid: std::process::id() });
    match reader.next::<ClientHello>().await {
        Ok(Some(hello)) if hello.build == BUILD => {}
        Ok(None) => return,
        Ok(Some(hello)) => return tracing::warn!("a client of build {} was refused", hello.build),
        Err(error) => return tracing::warn!("a connection to the client socket was refused: {error:#}"),
    }
    drop(inputs.send(Input::Joined(client, link)).await);
    loop {
        match reader.next::<Ask>().await {
            Ok(Some(ask)) => drop(inputs.send(Input::Asked(client, ask)).await),
            Ok(None) => break,
            Err(error) => {
                tracing::warn!("a client's link: {error:#}");
                break;
            }
        }
    }
    drop(inputs.send(Input::Left(client)).await);
}
