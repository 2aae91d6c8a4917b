//! One launch: the set's runtime folder, its socket, its environment and its launcher.
//!
//! **Invariant**: the runtime folder and what is in it can be entered by this user alone, and the launcher knows the
//! folder before anything is started.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use fabric::config::RankConfig;
use fabric::leftovers;
use fabric::message::launcher::{FromLauncher, ToLauncher, Zygote};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;

use super::Input;
use super::child;
use super::connections::listen;
use super::engines::Settings;
use super::folders::{self, owner_only};
use super::leftovers::Leftovers;
use super::link::{Link, Reader};
use super::mpi::Mpi;
use crate::cluster::{Event, SetId, Terms};

/// What a launch hands to the loop.
#[derive(Debug)]
pub(super) struct Launched {
    pub(super) launcher: Link,
    pub(super) leftovers: Arc<Leftovers>,
    pub(super) listening: JoinHandle<()>,
    pub(super) runtime: PathBuf,
    /// What it will be.
    pub(super) terms: Terms,
}

/// Launches a set of engines; what comes of it arrives as inputs.
///
/// # Errors
/// A sentence for the user, when there is no launcher that could say it.
pub(super) async fn launch(
    set: SetId,
    size: Option<u32>,
    settings: &Settings,
    inputs: &Sender<Input>,
) -> anyhow::Result<()> {
    let (size, patience, zygote) = (size.unwrap_or(settings.size), patience()?, is_zygote_wanted()?);
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
    let zygote = zygote.then(|| runtime.join("zygote.sock"));
    let contents = RankConfig {
        socket,
        runtime: runtime.clone(),
        zygote: zygote.clone(),
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
    let role = |role: &str| {
        [engine.to_string_lossy().as_ref(), role, "--config", &config.to_string_lossy()].map(str::to_owned)
    };
    let (process, launcher, reader) = child::spawn(&engine, &["launcher"], None)?;
    launcher.send(&ToLauncher::Start {
        command: mpi.launch(size, &role("rank")),
        set: environment,
        directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
        zygote: zygote.map(|socket| Zygote {
            command: role("zygote").to_vec(),
            socket,
            log: runtime.join("zygote.log"),
        }),
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

/// Whether engines may be copies of one Python.
fn is_zygote_wanted() -> anyhow::Result<bool> {
    const NAME: &str = "PARALLEL_PYTHON_ZYGOTE";
    match std::env::var(NAME).as_deref() {
        Err(_) | Ok("on") => Ok(true),
        Ok("off") => Ok(false),
        Ok(other) => bail!("{NAME} is `{other}`: it is `on` or `off`"),
    }
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

/// Passes on what the launcher says, to its end.
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
