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
use super::halves::{self, Cut, WriteHalf};
use super::link::{Link, Reader};
use super::registry::{self, Entry, Registered};
use super::{Input, epoch};
use crate::clients::ClientId;

/// How many bytes may wait for a client that does not read. One that runs reads as fast as it can, so it is stopped
/// (Ctrl-Z, a debugger), and others need the memory.
const MOST_BEHIND: usize = 1 << 30;

/// A client that is connected.
#[derive(Debug)]
pub(super) struct Peer {
    link: Link,
    cut: Cut,
}

impl Peer {
    fn new(writing: WriteHalf) -> Self {
        let cut = writing.cut();
        Self { link: Link::start(writing), cut }
    }
}

/// The clients that are connected.
#[derive(Debug)]
pub(super) struct Connected {
    peers: HashMap<ClientId, Peer>,
    most_behind: usize,
}

impl Default for Connected {
    fn default() -> Self {
        Self { peers: HashMap::new(), most_behind: MOST_BEHIND }
    }
}

impl Connected {
    pub(super) fn joined(&mut self, client: ClientId, peer: Peer) {
        self.peers.insert(client, peer);
    }

    pub(super) fn left(&mut self, client: ClientId) {
        self.peers.remove(&client);
    }

    pub(super) fn tell(&mut self, client: ClientId, told: &Told) {
        let Some(peer) = self.peers.get(&client) else { return };
        peer.link.send(told);
        if peer.link.behind() > self.most_behind {
            tracing::warn!(
                "a client does not read and is let go of: it can connect anew and ask for its results"
            );
            // Its reading end says that it has left.
            peer.cut.both();
            self.peers.remove(&client);
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
    let (mut reader, peer) = (Reader::new(reading), Peer::new(writing));
    // The first word, so that a client of another build can say so.
    peer.link.send(&ClientHello { build: BUILD.to_owned(), pid: std::process::id() });
    match reader.next::<ClientHello>().await {
        Ok(Some(hello)) if hello.build == BUILD => {}
        Ok(None) => return,
        Ok(Some(hello)) => return tracing::warn!("a client of build {} was refused", hello.build),
        Err(error) => return tracing::warn!("a connection to the client socket was refused: {error:#}"),
    }
    drop(inputs.send(Input::Joined(client, peer)).await);
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn within<T>(work: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(30), work).await.unwrap()
    }

    #[tokio::test]
    async fn one_that_does_not_read_is_let_go_of() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (reading, writing) = halves::split(ours).unwrap();
        let (stopped, _) = halves::split(theirs).unwrap();
        let (mut ours, mut stopped) = (Reader::new(reading), Reader::new(stopped));
        let mut connected = Connected { most_behind: 1 << 20, ..Connected::default() };
        connected.joined(1, Peer::new(writing));
        let told = Told::Over { name: "x".repeat(1000) };
        for _ in 0..1000 {
            connected.tell(1, &told);
        }
        assert_eq!(connected.peers.len(), 1, "what is behind by less is kept");
        for _ in 0..1000 {
            connected.tell(1, &told);
        }
        assert!(connected.peers.is_empty());
        assert!(within(ours.next::<Ask>()).await.unwrap().is_none(), "it has left");
        // What it reads when it goes on is whole messages, then the end, or a last one that is cut off.
        while let Ok(Some(message)) = within(stopped.next::<Told>()).await {
            assert_eq!(message, told);
        }
    }

    #[tokio::test]
    async fn one_that_reads_may_be_told_as_much_as_there_is() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (_, writing) = halves::split(ours).unwrap();
        let (reading, _) = halves::split(theirs).unwrap();
        let mut reads = Reader::new(reading);
        let mut connected = Connected { most_behind: 1 << 16, ..Connected::default() };
        connected.joined(1, Peer::new(writing));
        for number in 0..1000 {
            let told = Told::Over { name: format!("{number:01000}") };
            connected.tell(1, &told);
            assert_eq!(within(reads.next::<Told>()).await.unwrap(), Some(told));
        }
        assert_eq!(connected.peers.len(), 1);
    }
}
