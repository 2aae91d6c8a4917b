//! The connections of a kernel that is attached: to the process that owns its engines, found by profile. One is the
//! kernel's, for cells; one is the notebook's own Python's, for the client API, and goes with it.
//!
//! **Invariant**: the process at the other end is this user's, the one that the registry names, and of this build. What
//! comes from a connection that has been given up reaches nobody.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use fabric::message::BUILD;
use fabric::message::client::{Ask, ClientHello, Told};
use tokio::net::UnixStream;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;

use super::Input;
use super::connections::is_this_user;
use super::halves::{self, WriteHalf};
use super::link::{self, Link, Reader, Waiting};
use super::registry::{self, Entry};
use crate::backlog::Backlog;
use crate::cluster::{FromHub, ToHub};
use crate::session::Event;

/// How long the other process may take to say hello.
const HELLO: Duration = Duration::from_secs(10);

/// Who uses a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum User {
    Kernel,
    Notebook,
}

/// Numbers connections.
pub(super) type LineId = u64;

/// What comes from a connection.
#[derive(Debug)]
pub(super) enum Heard {
    /// It stands; where.
    Joined(Entry),
    /// It says something.
    Told(Told),
    /// It has ended, or never was: a sentence for the user.
    Gone(String),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Attachment {
    profile: String,
    inputs: Sender<Input>,
    backlog: Arc<Backlog>,
    /// Whose engines they are, once that is known.
    hub: Option<Entry>,
    kernel: Option<Line>,
    notebook: Option<Line>,
    last: LineId,
}

/// One connection; dropping it ends it.
#[derive(Debug)]
struct Line {
    id: LineId,
    link: Link,
    conversation: JoinHandle<()>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.conversation.abort();
    }
}

impl Attachment {
    pub(super) fn new(profile: String, inputs: Sender<Input>, backlog: Arc<Backlog>) -> Self {
        Self { profile, inputs, backlog, hub: None, kernel: None, notebook: None, last: 0 }
    }

    /// Does what the cluster wants done.
    pub(super) fn perform(&mut self, to: ToHub) {
        match to {
            ToHub::Join => self.kernel = Some(self.line(None)),
            ToHub::Ask(ask) => {
                if let Some(line) = &self.kernel {
                    line.link.send(&ask);
                }
            }
            ToHub::Leave => (self.hub, self.kernel, self.notebook) = (None, None, None),
        }
    }

    /// Passes on what the notebook's own Python asks.
    pub(super) fn relay(&mut self, ask: &Ask) {
        if self.notebook.is_none() && self.hub.is_some() {
            self.notebook = Some(self.line(self.hub.clone()));
        }
        if let Some(line) = &self.notebook {
            line.link.send(ask);
        }
    }

    /// The notebook's own Python has gone: the next one has a connection of its own.
    pub(super) fn relay_leaves(&mut self) {
        self.notebook = None;
    }

    /// What something that was heard means to the session.
    pub(super) fn heard(&mut self, id: LineId, heard: Heard) -> Option<Event> {
        let is = |line: &Option<Line>| line.as_ref().is_some_and(|line| line.id == id);
        let user = match (is(&self.kernel), is(&self.notebook)) {
            (true, _) => User::Kernel,
            (_, true) => User::Notebook,
            // It has been given up.
            (false, false) => return None,
        };
        Some(match (user, heard) {
            (User::Kernel, Heard::Joined(entry)) => {
                self.hub = Some(entry);
                Event::Hub(FromHub::Joined)
            }
            (User::Kernel, Heard::Told(told)) => Event::Hub(FromHub::Told(told)),
            (User::Kernel, Heard::Gone(reason)) => {
                (self.hub, self.kernel) = (None, None);
                Event::Hub(FromHub::Gone { reason })
            }
            (User::Notebook, Heard::Joined(_)) => return None,
            (User::Notebook, Heard::Told(told)) => Event::Relayed(told),
            (User::Notebook, Heard::Gone(reason)) => {
                self.notebook = None;
                Event::RelayGone { reason }
            }
        })
    }

    /// A connection to the engines of the profile, or to those that have been found before.
    fn line(&mut self, known: Option<Entry>) -> Line {
        self.last += 1;
        let (id, (link, queue)) = (self.last, Link::ahead());
        let (profile, inputs) = (self.profile.clone(), self.inputs.clone());
        let backlog = Arc::clone(&self.backlog);
        let conversation = tokio::spawn(async move {
            let ended = converse(id, &profile, known, queue, &inputs, &backlog).await;
            let reason = match ended {
                Err(error) => format!("{error:#}"),
                Ok(pid) => format!(
                    "the engines of profile `{profile}` are gone: the process that kept them (pid {pid}) has ended; \
                     `parallel-python engines start --profile {profile} --daemonize` starts some, and the next \
                     parallel cell uses them"
                ),
            };
            drop(inputs.send(Input::Hub(id, Heard::Gone(reason))).await);
        });
        Line { id, link, conversation }
    }
}

/// One connection from its begin to its end: the process that was at the other end.
async fn converse(
    id: LineId,
    profile: &str,
    known: Option<Entry>,
    queue: Waiting,
    inputs: &Sender<Input>,
    backlog: &Backlog,
) -> anyhow::Result<u32> {
    let entry = match known {
        Some(entry) => entry,
        None => {
            let profile = profile.to_owned();
            // Whether somebody listens is asked of every set that is known.
            tokio::task::spawn_blocking(move || registry::find(&profile)).await??
        }
    };
    let pid = entry.pid;
    let joined = tokio::time::timeout(HELLO, join(&entry)).await.unwrap_or_else(|_| {
        bail!("the process that keeps the engines (pid {pid}) has not answered for {} s", HELLO.as_secs())
    });
    let (mut reader, writing) = joined.with_context(|| format!("the engines of profile `{profile}`"))?;
    drop(inputs.send(Input::Hub(id, Heard::Joined(entry))).await);
    tokio::spawn(link::write(writing, queue));
    while let Some(told) = reader.next::<Told>().await? {
        if matches!(told, Told::Report { .. }) {
            backlog.room().await;
        }
        if inputs.send(Input::Hub(id, Heard::Told(told))).await.is_err() {
            break;
        }
    }
    Ok(pid)
}

async fn join(entry: &Entry) -> anyhow::Result<(Reader, WriteHalf)> {
    let stream = UnixStream::connect(&entry.socket)
        .await
        .with_context(|| format!("cannot connect to `{}`", entry.socket.display()))?;
    if !is_this_user(&stream) {
        bail!("`{}` is another user's", entry.socket.display());
    }
    let (reading, mut writing) = halves::split(stream)?;
    let mut reader = Reader::new(reading);
    let hello = ClientHello { build: BUILD.to_owned(), pid: std::process::id() };
    let hello = fabric::frame::encode(&hello)?;
    writing.write_all(&hello).await?;
    let theirs: ClientHello = reader.next().await?.context("the connection was refused")?;
    if theirs.build != BUILD {
        bail!("they are of build {}, this kernel is of build {BUILD}: use one build", theirs.build);
    }
    Ok((reader, writing))
}
