//! The five ZeroMQ sockets: each direction of each socket has one task that owns it.
//!
//! **Invariant**: a client can never end or stall the kernel: what does not decode is logged and
//! dropped, an error of `recv` is not the end, and iopub is a PUB socket, whose send never waits for
//! a slow subscriber (an XPUB's would, for all of them). What waits for subscribers is counted by the
//! [`Backlog`], to which the producers of output keep.

mod strangers;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use fabric::message::local::{Channel, Message};
use futures::StreamExt;
use rustix::fs::Mode;
use tokio::sync::mpsc::{self, Receiver, Sender};
use zeromq::{
    PubSocket, RepSocket, RouterSendHalf, RouterSocket, Socket, SocketEvent, SocketRecv, SocketSend,
    ZmqMessage,
};

use crate::backlog::{self, Backlog};
use crate::compose::Composer;
use crate::connection::ConnectionFile;
use crate::session::Event;
use crate::wire::Signer;

/// Messages that wait for a socket's task, beyond which the session's loop waits too.
const WAITING: usize = 1024;

/// What a frame takes in memory besides its bytes, about.
const OVERHEAD: usize = 64;

/// A subscriber's subscription arrives a moment after its connection does; a welcome sent earlier
/// would not reach it.
const WELCOME_DELAY: Duration = Duration::from_millis(20);

/// How long clients may take to read what was published last.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long the sockets may take to write what was sent last.
const LINGER: Duration = Duration::from_millis(100);

/// The sending ends of the sockets.
pub(crate) struct Sockets {
    shell: Sender<Message>,
    control: Sender<Message>,
    stdin: Sender<Message>,
    iopub: Sender<Message>,
    backlog: Arc<Backlog>,
}

impl Sockets {
    /// Binds all five; what clients send goes to `events` (socket tasks → session loop).
    ///
    /// # Errors
    /// When an address is taken or malformed.
    pub(crate) async fn bind(
        file: &ConnectionFile,
        session: &str,
        events: &Sender<Event>,
    ) -> anyhow::Result<Self> {
        // Over ipc the sockets are files: only their owner may connect to them.
        let umask = rustix::process::umask(Mode::RWXG | Mode::RWXO);
        let bound = Self::bind_all(file, session, events).await;
        rustix::process::umask(umask);
        bound
    }

    async fn bind_all(file: &ConnectionFile, session: &str, events: &Sender<Event>) -> anyhow::Result<Self> {
        heartbeat(&file.heartbeat()).await?;
        let backlog = Arc::new(Backlog::default());
        Ok(Self {
            shell: router(Channel::Shell, file, events.clone()).await?,
            control: router(Channel::Control, file, events.clone()).await?,
            stdin: router(Channel::Stdin, file, events.clone()).await?,
            iopub: publisher(file, session, Arc::clone(&backlog)).await?,
            backlog,
        })
    }

    /// What producers of output wait for.
    pub(crate) fn backlog(&self) -> Arc<Backlog> {
        Arc::clone(&self.backlog)
    }

    /// Hands a message to its socket's task, waiting while too many are before it.
    pub(crate) async fn send(&self, message: Message) {
        let socket = match message.channel {
            Channel::Shell => &self.shell,
            Channel::Control => &self.control,
            Channel::Stdin => &self.stdin,
            Channel::Iopub => &self.iopub,
        };
        if socket.send(message).await.is_err() {
            tracing::error!("a socket's task has ended: its message is lost");
        }
    }

    /// Waits until what was published has been written, if its readers do not take too long. Of a reply
    /// the crate tells only when it has taken it, so for those this waits a fixed time.
    pub(crate) async fn flush(self) {
        while self.iopub.capacity() < WAITING
            || self.shell.capacity() < WAITING
            || self.control.capacity() < WAITING
        {
            tokio::task::yield_now().await;
        }
        drop(tokio::time::timeout(FAREWELL, self.backlog.empty()).await);
        tokio::time::sleep(LINGER).await;
    }
}

/// Echoes what it receives.
async fn heartbeat(endpoint: &str) -> anyhow::Result<()> {
    let mut socket = RepSocket::new();
    strangers::watch("hb", &mut socket);
    bind(&mut socket, endpoint).await?;
    tokio::spawn(async move {
        loop {
            match socket.recv().await {
                Ok(beat) => drop(socket.send(beat).await),
                Err(error) => strangers::after("hb", &error).await,
            }
        }
    });
    Ok(())
}

async fn router(
    channel: Channel,
    file: &ConnectionFile,
    events: Sender<Event>,
) -> anyhow::Result<Sender<Message>> {
    let port = match channel {
        Channel::Shell => "shell",
        Channel::Control => "control",
        Channel::Stdin => "stdin",
        Channel::Iopub => "iopub",
    };
    let mut socket = RouterSocket::new();
    strangers::watch(port, &mut socket);
    bind(&mut socket, &file.endpoint(channel)).await?;
    let (sending, mut receiving) = socket.split();
    let mut signer = Signer::new(&file.key);
    tokio::spawn(async move {
        loop {
            match receiving.recv().await {
                Ok(message) => match signer.decode(channel, &message.into_vec()) {
                    Ok(incoming) => {
                        if events.send(Event::Request(incoming)).await.is_err() {
                            break;
                        }
                    }
                    Err(refused) => tracing::warn!(port, "{refused}"),
                },
                Err(error) => strangers::after(port, &error).await,
            }
        }
    });
    // session loop → the socket: replies and requests for input
    let (sender, queue) = mpsc::channel(WAITING);
    tokio::spawn(replies(sending, queue, Signer::new(&file.key)));
    Ok(sender)
}

async fn replies(mut socket: RouterSendHalf, mut queue: Receiver<Message>, signer: Signer) {
    while let Some(message) = queue.recv().await {
        if let Some(message) = frames(&signer, message)
            && let Err(gone) = socket.send(message).await
        {
            tracing::debug!("a client left before its reply: {gone}");
        }
    }
}

async fn publisher(
    file: &ConnectionFile,
    session: &str,
    backlog: Arc<Backlog>,
) -> anyhow::Result<Sender<Message>> {
    let mut socket = PubSocket::new();
    let mut arrivals = socket.monitor();
    bind_impatiently(&mut socket, &file.endpoint(Channel::Iopub)).await?;
    // session loop → the socket: everything that is published
    let (sender, mut queue) = mpsc::channel::<Message>(WAITING);
    let mut publisher = Publisher { socket, signer: Signer::new(&file.key), backlog };
    let composer = Composer::new(session.to_owned());
    tokio::spawn(async move {
        loop {
            // What was published before a client's welcome would reach it before the welcome.
            tokio::select! {
                biased;
                Some(event) = arrivals.next() => {
                    match event {
                        SocketEvent::Accepted(..) => {
                            tokio::time::sleep(WELCOME_DELAY).await;
                            publisher.send(welcome(&composer)).await;
                        }
                        SocketEvent::AcceptFailed(error) => strangers::note("iopub", &error),
                        _ => {}
                    }
                }
                message = queue.recv() => match message {
                    Some(message) => publisher.send(message).await,
                    None => break,
                },
            }
        }
    });
    Ok(sender)
}

/// Tells a client that its subscription is there (JEP 65).
fn welcome(composer: &Composer) -> Message {
    let content = serde_json::json!({"subscription": ""});
    let mut message = composer.iopub("iopub_welcome", &fabric::message::Json::default(), &content);
    message.identities = vec![serde_bytes::ByteBuf::new()];
    message
}

struct Publisher {
    socket: PubSocket,
    signer: Signer,
    backlog: Arc<Backlog>,
}

impl Publisher {
    async fn send(&mut self, message: Message) {
        let mut frames = self.signer.encode(message);
        let size = frames.iter().map(|frame| frame.len() + OVERHEAD).sum();
        if let Some(last) = frames.pop() {
            frames.push(self.backlog.hold(last, size));
        }
        if let Ok(message) = ZmqMessage::try_from(frames)
            && let Err(error) = self.socket.send(message).await
        {
            tracing::warn!("a message was not published: {error}");
        }
    }
}

async fn bind(socket: &mut impl Socket, endpoint: &str) -> anyhow::Result<()> {
    if let Some(path) = endpoint.strip_prefix("ipc://") {
        // The crate does not remove a socket file that an earlier kernel left.
        drop(std::fs::remove_file(path));
    }
    socket.bind(endpoint).await.with_context(|| format!("cannot listen on {endpoint}"))?;
    Ok(())
}

/// As [`bind`], for a socket whose clients must go on reading: TCP ends a connection whose other end has taken
/// nothing for [`backlog::PATIENCE`] although something waits for it.
async fn bind_impatiently(socket: &mut impl Socket, endpoint: &str) -> anyhow::Result<()> {
    let Some(address) = endpoint.strip_prefix("tcp://") else { return bind(socket, endpoint).await };
    let listener =
        std::net::TcpListener::bind(address).with_context(|| format!("cannot listen on {endpoint}"))?;
    let patience = u32::try_from(backlog::PATIENCE.as_millis()).unwrap_or(u32::MAX);
    // Connections take it over from the socket that accepts them.
    rustix::net::sockopt::set_tcp_user_timeout(&listener, patience)?;
    socket.bind_listener(listener).await.with_context(|| format!("cannot listen on {endpoint}"))?;
    Ok(())
}

fn frames(signer: &Signer, message: Message) -> Option<ZmqMessage> {
    ZmqMessage::try_from(signer.encode(message)).ok()
}
