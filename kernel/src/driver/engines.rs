//! One set of engines on the operating system's side: its runtime folder, its socket, its launcher and
//! the links of its processes.
//!
//! **Invariant**: the runtime folder and what is in it can be entered by this user alone, every
//! connection's peer is this user, and the launcher knows the folder before anything is started.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use fabric::config::RankConfig;
use fabric::leftovers;
use fabric::message::launcher::{FromLauncher, ToLauncher};
use fabric::message::lifeline::{FromSupervisor, FromWorker, Hello, Role};
use fabric::message::task::FromGateway;
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;

use super::Input;
use super::child;
use super::folders::{self, owner_only};
use super::halves;
use super::leftovers::Leftovers;
use super::link::{Link, Reader};
use super::logs;
use super::mpi::Mpi;
use super::python::Python;
use crate::backlog::Backlog;
use crate::cluster::{Effect, Event, LinkId, SetId, Terms};

/// What does not change from one launch to the next.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// The Python that engines are to be.
    pub python: Python,
    /// The user's `mpiexec` with arguments, if one was named.
    pub mpiexec: Option<Vec<String>>,
    /// How many engines when nobody says.
    pub size: u32,
    /// How a person starts them again who has put right what was wrong.
    pub again: &'static str,
    /// What waits for the clients: engines' output waits for it.
    pub backlog: Arc<Backlog>,
}

/// The current set's launcher and links.
#[derive(Debug, Default)]
pub(super) struct Engines {
    /// The set that is launched or there.
    set: Option<SetId>,
    links: HashMap<LinkId, Link>,
    launcher: Option<Link>,
    /// What the launcher is to be told as soon as there is one.
    untold: Vec<ToLauncher>,
    leftovers: Option<Arc<Leftovers>>,
    /// The runtime folder.
    runtime: PathBuf,
    /// What launchers remove in place of this process, if it dies.
    bequest: Vec<PathBuf>,
    tasks: Vec<JoinHandle<()>>,
}

impl Engines {
    /// No engines yet; these files are to go with this process, however it ends.
    pub(super) fn new(bequest: Vec<PathBuf>) -> Self {
        Self { bequest, ..Self::default() }
    }

    /// Whether what comes from this set still concerns anybody.
    pub(super) fn is_current(&self, set: SetId) -> bool {
        self.set == Some(set)
    }

    /// Does what the cluster wants done.
    pub(super) fn perform(&mut self, effect: Effect, settings: &Settings, inputs: &Sender<Input>) {
        match effect {
            Effect::Launch { set, size } => {
                self.set = Some(set);
                let (settings, inputs) = (settings.clone(), inputs.clone());
                tokio::spawn(async move {
                    if let Err(error) = launch(set, size, &settings, &inputs).await {
                        let event = Event::LaunchFailed { reason: format!("{error:#}") };
                        drop(inputs.send(Input::engines(set, event)).await);
                    }
                });
            }
            Effect::Gateway(link, message) => self.send(link, &message),
            Effect::Worker(link, message) => self.send(link, &message),
            Effect::Supervisor(link, message) => self.send(link, &message),
            Effect::Launcher(message) => match &self.launcher {
                Some(launcher) => launcher.send(&message),
                None => self.untold.push(message),
            },
            Effect::Logs { set, ranks } => {
                let (runtime, inputs) = (self.runtime.clone(), inputs.clone());
                tokio::spawn(async move {
                    let event = Event::Logs(logs::of(&runtime, &ranks));
                    drop(inputs.send(Input::engines(set, event)).await);
                });
            }
            Effect::Release(_) => self.release(),
        }
    }

    /// A connection of set `set` has said who it is.
    pub(super) fn linked(&mut self, set: SetId, id: LinkId, link: Link) {
        if self.is_current(set) {
            self.links.insert(id, link);
        }
    }

    /// Set `set` has a launcher and a socket.
    pub(super) fn launched(&mut self, set: SetId, launched: Launched) {
        if self.is_current(set) {
            launched.launcher.send(&ToLauncher::Inherit(self.bequest.clone()));
            self.untold.drain(..).for_each(|message| launched.launcher.send(&message));
            self.launcher = Some(launched.launcher);
            self.leftovers = Some(launched.leftovers);
            self.runtime = launched.runtime;
            self.tasks.push(launched.listening);
        } else {
            launched.listening.abort();
        }
    }

    fn send<T: serde::Serialize>(&self, link: LinkId, message: &T) {
        if let Some(link) = self.links.get(&link) {
            link.send(message);
        }
    }

    /// Closes every connection; for the launcher that means: end what is left.
    fn release(&mut self) {
        self.set = None;
        self.links.clear();
        self.untold.clear();
        self.launcher = None;
        self.leftovers = None;
        self.tasks.drain(..).for_each(|task| task.abort());
    }
}

/// What a launch hands to the loop.
#[derive(Debug)]
pub(super) struct Launched {
    launcher: Link,
    leftovers: Arc<Leftovers>,
    listening: JoinHandle<()>,
    runtime: PathBuf,
    /// What it will be.
    pub(super) terms: Terms,
}

async fn launch(
    set: SetId,
    size: Option<u32>,
    settings: &Settings,
    inputs: &Sender<Input>,
) -> anyhow::Result<()> {
    let (size, patience) = (size.unwrap_or(settings.size), patience()?);
    let mpi = Mpi::find(settings.mpiexec.as_deref(), &settings.python.executable)
        .await
        .map_err(|reason| anyhow::anyhow!("{reason}, then {}", settings.again))?;
    mpi.check_machine().map_err(anyhow::Error::msg)?;
    let (folder, shared) = (folders::runtime()?, folders::shared_memory());
    let runtime = folder.path().to_owned();
    if let Some(shared) = &shared {
        leftovers::note(&runtime, shared.path())
            .with_context(|| format!("cannot write in `{}`", runtime.display()))?;
    }
    let socket = runtime.join("engines.sock");
    let listener =
        UnixListener::bind(&socket).with_context(|| format!("cannot listen on `{}`", socket.display()))?;
    std::fs::set_permissions(&socket, owner_only(0o600))?;
    let config = runtime.join("engines.json");
    let mut environment = mpi.environment();
    environment.extend(library_path(&mpi, &runtime)?);
    environment.extend(mpi.keep_files_in(&runtime, shared.as_ref().map(TempDir::path)));
    let contents = RankConfig {
        socket,
        runtime: runtime.clone(),
        size,
        python: settings.python.executable.clone(),
        libpython: settings.python.libpython.clone(),
        mpi_plugin: child::beside(mpi.plugin())?,
        libmpi: mpi.library.clone(),
        carries: std::env::var_os("PARALLEL_PYTHON_BULK").is_some_and(|way| way == "mpi"),
        threads: Some((crate::machine::cores() / size.max(1)).max(1)),
        restore: environment.iter().map(|(name, _)| (name.clone(), std::env::var(name).ok())).collect(),
    };
    folders::write_private(&config, &serde_json::to_vec_pretty(&contents)?)?;
    let engine = child::beside("parallel-python-engine")?;
    let program =
        [engine.to_string_lossy().as_ref(), "rank", "--config", &config.to_string_lossy()].map(str::to_owned);
    let (process, launcher, reader) = child::spawn(&engine, &["launcher"], None)?;
    launcher.send(&ToLauncher::Start {
        command: mpi.launch(size, &program),
        set: environment,
        directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
    });
    launcher.send(&ToLauncher::Remove(vec![folder.keep()]));
    // It is noted in the other.
    shared.map(TempDir::keep);
    let leftovers = Arc::new(Leftovers::of(&runtime));
    let terms = Terms { size, patience, caution: mpi.caution(size, crate::machine::cores()) };
    let backlog = Arc::clone(&settings.backlog);
    let listening = tokio::spawn(listen(set, listener, inputs.clone(), backlog, Arc::clone(&leftovers)));
    tokio::spawn(follow_launcher(set, process, reader, inputs.clone(), Arc::clone(&leftovers)));
    let launched = Launched { launcher, leftovers, listening, runtime, terms };
    drop(inputs.send(Input::Launched(set, launched)).await);
    Ok(())
}

/// How long engines may take to start.
fn patience() -> anyhow::Result<Duration> {
    const NAME: &str = "PARALLEL_PYTHON_LAUNCH_TIMEOUT";
    let Ok(text) = std::env::var(NAME) else { return Ok(Duration::from_secs(90)) };
    let seconds = text.trim().parse().ok().filter(|seconds| (1..=86_400).contains(seconds));
    let seconds = seconds.with_context(|| format!("{NAME} is `{text}`: it is a number of seconds"))?;
    Ok(Duration::from_secs(seconds))
}

/// Where a library has another name than those who need it look for: a folder in which it has that name,
/// as a variable for the launch.
fn library_path(mpi: &Mpi, runtime: &Path) -> anyhow::Result<Option<(String, String)>> {
    let (Some(alias), Some(library)) = (mpi.alias(), &mpi.library) else { return Ok(None) };
    let folder = runtime.join("lib");
    let link = || {
        std::fs::create_dir(&folder)?;
        std::os::unix::fs::symlink(library, folder.join(alias))
    };
    link().with_context(|| format!("cannot make `{}`", folder.join(alias).display()))?;
    let present = std::env::var_os("LD_LIBRARY_PATH");
    let folders = std::iter::once(folder).chain(present.iter().flat_map(std::env::split_paths));
    let value = std::env::join_paths(folders)?.to_string_lossy().into_owned();
    Ok(Some(("LD_LIBRARY_PATH".to_owned(), value)))
}

async fn follow_launcher(
    set: SetId,
    process: tokio::process::Child,
    mut reader: Reader,
    inputs: Sender<Input>,
    leftovers: Arc<Leftovers>,
) {
    let ending = tokio::spawn(child::wait(process));
    while let Ok(Some(said)) = reader.next::<FromLauncher>().await {
        drop(inputs.send(Input::engines(set, Event::Launcher(said))).await);
    }
    let (how, _) = ending.await.unwrap_or_default();
    tracing::debug!("the launcher {how}");
    if how != "exited with code 0" {
        leftovers.launcher_died();
    }
    drop(inputs.send(Input::engines(set, Event::LauncherGone)).await);
}

async fn listen(
    set: SetId,
    listener: UnixListener,
    inputs: Sender<Input>,
    backlog: Arc<Backlog>,
    leftovers: Arc<Leftovers>,
) {
    for id in 0.. {
        match listener.accept().await {
            Ok((stream, _)) if is_this_user(&stream) => {
                let (inputs, backlog, leftovers) =
                    (inputs.clone(), Arc::clone(&backlog), Arc::clone(&leftovers));
                tokio::spawn(async move {
                    converse(set, id, stream, inputs, backlog).await;
                    // The process at the other end has gone.
                    drop(leftovers);
                });
            }
            Ok(_) => tracing::warn!("another user's process connected to the engine socket: refused"),
            Err(error) => {
                tracing::warn!("an engine could not connect: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
    }
}

pub(super) fn is_this_user(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == rustix::process::getuid().as_raw())
}

/// One connection from its hello to its end.
async fn converse(
    set: SetId,
    link: LinkId,
    stream: UnixStream,
    inputs: Sender<Input>,
    backlog: Arc<Backlog>,
) {
    let (reading, writing) = match halves::split(stream) {
        Ok(halves) => halves,
        Err(error) => return tracing::warn!("an engine could not connect: {error}"),
    };
    let mut reader = Reader::new(reading);
    let hello = match reader.next::<Hello>().await {
        Ok(Some(hello)) => hello,
        Ok(None) => return,
        Err(error) => return tracing::warn!("a connection to the engine socket was refused: {error:#}"),
    };
    let role = hello.role.clone();
    drop(inputs.send(Input::Linked(set, link, Link::start(writing))).await);
    drop(inputs.send(Input::engines(set, Event::Hello { link, hello })).await);
    let read = match role {
        Role::Supervisor { .. } => {
            let paced = |_: &FromSupervisor| None;
            pass_on(&mut reader, set, &inputs, paced, Event::Supervisor).await
        }
        // Output comes this way; and that way, when this one is closed.
        Role::Gateway => {
            let paced = |_: &FromGateway<'static>| Some(&*backlog);
            pass_on(&mut reader, set, &inputs, paced, Event::Gateway).await
        }
        Role::Worker(_) => {
            let paced = |said: &FromWorker| matches!(said, FromWorker::Report(_)).then_some(&*backlog);
            pass_on(&mut reader, set, &inputs, paced, |said| Event::Worker { link, said }).await
        }
    };
    if let Err(error) = read {
        tracing::warn!("an engine's link: {error:#}");
    }
    drop(inputs.send(Input::engines(set, Event::Closed { link })).await);
}

/// Passes on what a process says; what is `paced` waits for room among what waits for the clients.
async fn pass_on<'a, T: serde::de::DeserializeOwned>(
    reader: &mut Reader,
    set: SetId,
    inputs: &Sender<Input>,
    paced: impl Fn(&T) -> Option<&'a Backlog>,
    event: impl Fn(T) -> Event,
) -> anyhow::Result<()> {
    while let Some(said) = reader.next().await? {
        if let Some(backlog) = paced(&said) {
            backlog.room().await;
        }
        if inputs.send(Input::engines(set, event(said))).await.is_err() {
            break;
        }
    }
    Ok(())
}
