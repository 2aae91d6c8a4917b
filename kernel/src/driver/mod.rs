//! The loop: everything that happens comes in here, goes through the [`Session`], and what it wants
//! done is done here. The only place where the session meets sockets, processes and the clock.
//!
//! ```text
//!  sockets ─┐                                     ┌─► sockets
//!  local    ├─► Input ─► Session::on ─► Effect ───┼─► local
//!  engines ─┘                                     └─► engines
//! ```
//!
//! **Invariant**: one loop, one owner: no state of the session is seen by any other task.

mod attach;
mod child;
mod clients;
mod connections;
mod engines;
mod files;
mod folders;
mod halves;
pub(crate) mod headless;
mod launch;
pub(crate) mod leftovers;
mod limits;
mod link;
mod local;
mod logs;
mod mpi;
mod parent;
mod place;
mod python;
pub(crate) mod registry;
pub(crate) mod trial;

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use fabric::message::client::Ask;
use fabric::message::local::ToLocal;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::cli::{Door, KernelOptions};
use crate::clients::{self as core, ClientId};
use crate::cluster::{self, LinkId, SetId};
use crate::connection::ConnectionFile;
use crate::session::{Effect, Event, Session};
use crate::sockets::Sockets;
use attach::{Attachment, Heard, LineId};
use clients::{Connected, Door as ClientDoor, Peer};
use engines::{Engines, Settings};
use files::Files;
use launch::Launched;
use link::Link;
use local::LocalProcess;
use python::Python;

/// Inputs that wait for the loop, beyond which their senders wait.
const WAITING: usize = 1024;

/// What the loop takes in.
#[derive(Debug)]
enum Input {
    /// Something for the session.
    Event(Event),
    /// An engine process connected; its sending end is the loop's to keep.
    Linked(SetId, LinkId, Link),
    /// A set's launcher runs.
    Launched(SetId, Launched),
    /// A client connected; its sending end is the loop's to keep.
    Joined(ClientId, Peer),
    /// A client that connected asks for something.
    Asked(ClientId, Ask),
    /// A client has gone.
    Left(ClientId),
    /// Something comes from the process whose engines are used.
    Hub(LineId, Heard),
}

impl Input {
    fn engines(set: SetId, event: cluster::Event) -> Self {
        Input::Event(Event::Engines { set, event })
    }
}

/// Runs the kernel until it is told to end.
///
/// # Errors
/// When the connection file or its addresses cannot be used.
pub(crate) async fn run(options: KernelOptions) -> anyhow::Result<()> {
    limits::allow_many_files();
    let file = ConnectionFile::read(&options.connection_file)?;
    if !options.rest.is_empty() {
        tracing::info!("arguments that mean nothing to this kernel: {}", options.rest.join(" "));
    }
    let mut signals = Signals::listen()?;
    let (requests, mut from_clients) = mpsc::channel(WAITING); // sockets, local process → loop
    let (inputs, mut from_engines) = mpsc::channel(WAITING); // engine links, launcher → loop
    let session_id = uuid::Uuid::new_v4().to_string();
    let sockets = Sockets::bind(&file, &session_id, &requests).await?;
    let mut python = match options.known_python() {
        Some((executable, libpython)) => Ok(Python::known(executable, libpython)),
        None => Python::ask(&options.python()).await,
    };
    if let (Ok(python), Door::Extension) = (&mut python, options.door) {
        python.libpython = None;
    }
    let backlog = sockets.backlog();
    let profile = options.attach();
    // Whoever wants the engines of an attached kernel finds their owner.
    let mut found = if profile.is_none() { open_to_clients(&inputs, &options) } else { None };
    let mut machine = Machine {
        settings: python.map(|python| Settings {
            python,
            mpiexec: options.mpiexec(),
            size: options.size(),
            again: "`%engines start`",
            backlog: Arc::clone(&backlog),
        }),
        setup: ToLocal::Setup {
            session: session_id.clone(),
            connection_file: options.connection_file.to_string_lossy().into_owned(),
            magics: crate::session::magic_specs(),
        },
        sockets,
        local: LocalProcess::default(),
        engines: Engines::new(found.as_ref().map(ClientDoor::files).unwrap_or_default()),
        files: Files::default(),
        connected: Connected::default(),
        attachment: profile.map(|profile| Attachment::new(profile.to_owned(), inputs.clone(), backlog)),
        requests,
        inputs,
    };
    let mut session = Session::new(session_id, options.lazy(), options.interactive());
    if let Some(profile) = profile {
        session = session.attached_to(profile);
    }
    session.set_clock(Instant::now(), epoch());
    let mut effects = session.begin(Instant::now());
    let mut parent = std::pin::pin!(parent::gone());
    let mut orphaned = false;
    loop {
        for effect in effects.drain(..) {
            if matches!(effect, Effect::Exit) {
                machine.sockets.flush().await;
                return Ok(());
            }
            machine.perform(effect).await;
        }
        let deadline = session.deadline();
        let input = tokio::select! {
            Some(event) = from_clients.recv() => Some(Input::Event(event)),
            Some(input) = from_engines.recv() => Some(input),
            event = signals.next() => Some(Input::Event(event)),
            () = &mut parent, if !orphaned => {
                orphaned = true;
                Some(Input::Event(Event::Terminated))
            }
            () = until(deadline) => None,
        };
        let now = Instant::now();
        effects = match input {
            // Its memory files are nobody's any more, and close with whoever sent them.
            Some(Input::Event(Event::Engines { set, .. })) if !machine.engines.is_current(set) => Vec::new(),
            Some(Input::Event(mut event)) => {
                let released = machine.adopt(&mut event);
                let mut effects = session.on(event, now);
                if let Some(released) = released {
                    effects.extend(session.on(released, now));
                }
                effects
            }
            Some(Input::Linked(set, id, link)) => {
                machine.engines.linked(set, id, link);
                Vec::new()
            }
            Some(Input::Launched(set, launched)) => {
                let terms = launched.terms.clone();
                if let Some(door) = &mut found {
                    door.resize(terms.size);
                }
                machine.engines.launched(set, launched);
                session.on(Event::Launched(set, terms), now)
            }
            Some(Input::Joined(client, peer)) => {
                machine.connected.joined(client, peer);
                Vec::new()
            }
            Some(Input::Asked(client, mut ask)) => {
                machine.files.adopt_ask(&mut ask);
                session.on(Event::Client { client, ask }, now)
            }
            Some(Input::Left(client)) => {
                machine.connected.left(client);
                session.on(Event::ClientGone { client }, now)
            }
            Some(Input::Hub(line, heard)) => match machine.heard(line, heard) {
                Some(event) => session.on(event, now),
                None => Vec::new(),
            },
            None => session.tick(now),
        };
    }
}

/// Lets other processes of this user use the engines. A kernel works without that too.
fn open_to_clients(inputs: &mpsc::Sender<Input>, options: &KernelOptions) -> Option<ClientDoor> {
    let name = options.connection_file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    ClientDoor::open(inputs, name, "kernel", options.size())
        .inspect_err(|error| tracing::warn!("no other process can use these engines: {error:#}"))
        .ok()
}

/// What the clock says, in seconds since the epoch.
fn epoch() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Everything outside the session.
struct Machine {
    settings: Result<Settings, String>,
    setup: ToLocal,
    sockets: Sockets,
    local: LocalProcess,
    engines: Engines,
    files: Files,
    connected: Connected,
    /// The way to engines that are another process's.
    attachment: Option<Attachment>,
    requests: mpsc::Sender<Event>,
    inputs: mpsc::Sender<Input>,
}

impl Machine {
    async fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Send(message) => self.sockets.send(message).await,
            Effect::Local(message) => self.local.send(&message),
            Effect::StartLocal => self.start_local(),
            Effect::Engines(effect) => self.perform_engines(effect),
            Effect::Clients(effect) => self.perform_clients(effect),
            Effect::Hub(_) | Effect::Relay(_) | Effect::RelayLeaves => self.perform_attached(effect),
            Effect::Exit => {}
        }
    }

    /// Opens the memory files that came with an event; what is to be said to whoever sent it. For engines that are
    /// another process's, that process opens them.
    fn adopt(&mut self, event: &mut Event) -> Option<Event> {
        if self.attachment.is_some() { None } else { self.files.adopt_from(event) }
    }

    fn heard(&mut self, line: LineId, heard: Heard) -> Option<Event> {
        self.attachment.as_mut()?.heard(line, heard)
    }

    fn start_local(&mut self) {
        let started = match &self.settings {
            Ok(settings) => self
                .local
                .start(&settings.python, &self.setup, &self.requests, &settings.backlog)
                .map_err(|error| format!("{error:#}")),
            Err(unfit) => Err(unfit.clone()),
        };
        if let Err(reason) = started {
            self.later(Event::Local(fabric::message::local::FromLocal::Unfit { reason }));
        }
    }

    fn perform_engines(&mut self, effect: cluster::Effect) {
        match (&self.settings, effect) {
            (Ok(settings), effect) => self.engines.perform(effect, settings, &self.inputs),
            (Err(unfit), cluster::Effect::Launch { set, .. }) => {
                self.engines.expect(set);
                let event = cluster::Event::LaunchFailed { reason: unfit.clone() };
                self.later(Event::Engines { set, event });
            }
            (Err(_), _) => {}
        }
    }

    fn perform_attached(&mut self, effect: Effect) {
        let Some(attachment) = &mut self.attachment else { return };
        match effect {
            Effect::Hub(to) => attachment.perform(to),
            Effect::Relay(ask) => attachment.relay(&ask),
            Effect::RelayLeaves => attachment.relay_leaves(),
            _ => {}
        }
    }

    fn perform_clients(&mut self, effect: core::Effect) {
        match effect {
            core::Effect::Tell(core::LOCAL, told) => self.local.send(&ToLocal::Client(told)),
            core::Effect::Tell(client, told) => self.connected.tell(client, &told),
            core::Effect::Close(files) => self.files.close(&files),
        }
    }

    /// Has the loop take an event after this one.
    fn later(&self, event: Event) {
        let requests = self.requests.clone();
        tokio::spawn(async move { drop(requests.send(event).await) });
    }
}

/// The signals that concern a kernel.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> Event {
        tokio::select! {
            _ = self.interrupt.recv() => Event::Interrupted,
            _ = self.terminate.recv() => Event::Terminated,
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
