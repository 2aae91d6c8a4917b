//! The zygote: a Python that has loaded what every engine needs and is forked for each rank that asks. Loading takes
//! most of an engine's start; a copy takes a hundredth of that, and shares its memory until it writes there.
//!
//! ```text
//!  rank ─ connects, orders ─► zygote ─ fork ─► supervisor-to-be ─ fork ─► worker: Python goes on in it
//!                                              └─ exec ─► supervisor (`supervisor.rs`)
//! ```
//!
//! **Invariants**: one thread when it forks, MPI loaded but not initialised, no connection to the kernel. What a rank
//! has ordered is done exactly or not at all, and a rank that is refused starts a worker itself. The zygote ends when
//! every rank has come, or after [`PATIENCE`].
//!
//! **Boundary**: what is loaded is Python's business (`python/parallel_python/engine/zygote.py`).

use std::ffi::OsStr;
use std::os::fd::{AsFd as _, AsRawFd as _, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use fabric::config::RankConfig;
use fabric::environment::{self, Changes, Environment};
use fabric::frame;
use fabric::message::zygote::FromZygote;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::FdFlags;
use rustix::process::{Pid, Signal};
use serde_bytes::ByteBuf;

use crate::{config, ffi, threads};

mod order;

use order::Ordered;

/// How long ranks may take to come.
const PATIENCE: Timespec = Timespec { tv_sec: 120, tv_nsec: 0 };

/// How long the system may take to forget a thread that has ended.
const FORGETTING: Duration = Duration::from_millis(500);

/// The zygote as its Python sees it.
#[pyclass(frozen, module = "_parallel_python")]
struct Zygote {
    set: RankConfig,
    /// As it was at first: what is loaded changes it.
    environment: Environment,
    /// Opens MPI's libraries, which neither waits for Python nor keeps it waiting: whether it could.
    loading: Mutex<Option<JoinHandle<bool>>>,
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Zygote>()
}

/// [`Changes`] as Python has them.
type PyChanges<'py> = Vec<(Bound<'py, PyBytes>, Option<Bound<'py, PyBytes>>)>;

#[pymethods]
impl Zygote {
    /// Begins to load what engines need beside Python. `launchers`: what names of variables begin with that MPI
    /// launchers change for their ranks.
    #[new]
    fn new(config: PathBuf, launchers: Vec<String>) -> PyResult<Zygote> {
        let set = config::read(&config).map_err(|error| PyValueError::new_err(format!("{error:#}")))?;
        let (plugin, libmpi) = (set.mpi_plugin.clone(), set.libmpi.clone());
        let environment = Environment::new(environment::own(), launchers, libmpi.as_deref());
        let load = move || fabric::mpi::load(&plugin, libmpi.as_deref()).is_ok();
        let loading = Mutex::new(Some(threads::spawn("loader", load)?));
        Ok(Zygote { set, environment, loading })
    }

    /// How many are wanted.
    #[getter]
    fn engines(&self) -> u32 {
        self.set.size
    }

    /// Forks an engine for each rank that asks at `listener`. Returns in each engine, with what its launcher has
    /// changed in the environment and the descriptor that takes what a crash has to say; in the zygote at the end,
    /// with None.
    fn fork_engines<'py>(
        &self,
        py: Python<'py>,
        listener: RawFd,
    ) -> PyResult<Option<(PyChanges<'py>, RawFd)>> {
        let listener = UnixListener::from(ffi::adopt_descriptor(listener)?);
        if !py.detach(|| self.has_loaded()) {
            // Why MPI cannot be loaded every engine finds out and says.
            return Ok(None);
        }
        // Locks that another thread holds would stay locked in a copy.
        if !is_single()? {
            eprintln!("ranks have to load Python themselves: what was loaded here has started a thread");
            return Ok(None);
        }
        for _ in 0..self.set.size {
            let Some(rank) = accept(&listener)? else { break };
            let ordered = match Ordered::receive(&rank, &listener, &self.environment) {
                Ok(ordered) => ordered,
                // The rank is told by the end of its connection.
                Err(reason) => {
                    eprintln!("a rank has to load Python itself: {reason:#}");
                    continue;
                }
            };
            if ffi::fork_python(py)?.is_none() {
                drop(listener);
                let (changes, faults) = become_engine(py, rank, ordered);
                let bytes = |text: ByteBuf| PyBytes::new(py, &text);
                let changes = changes.into_iter().map(|(name, value)| (bytes(name), value.map(bytes)));
                return Ok(Some((changes.collect(), faults)));
            }
        }
        Ok(None)
    }
}

impl Zygote {
    fn has_loaded(&self) -> bool {
        let loading = self.loading.lock().unwrap_or_else(PoisonError::into_inner).take();
        loading.is_some_and(|loading| loading.join().unwrap_or_default())
    }
}

/// Whether this process has one thread.
fn is_single() -> std::io::Result<bool> {
    let deadline = Instant::now() + FORGETTING;
    while std::fs::read_dir("/proc/self/task")?.count() > 1 {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(true)
}

fn accept(listener: &UnixListener) -> std::io::Result<Option<UnixStream>> {
    if poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&PATIENCE))? == 0 {
        return Ok(None);
    }
    Ok(Some(listener.accept()?.0))
}

/// Makes this copy a supervisor with a worker below it. Returns in the worker.
fn become_engine(py: Python<'_>, rank: UnixStream, ordered: Ordered) -> (Changes, RawFd) {
    match fork_worker(py, rank, ordered) {
        Ok(start) => start,
        // Its Python is the zygote's, which must not go on here.
        Err(error) => {
            eprintln!("parallel-python-engine: {error:#}");
            ffi::exit_now(1)
        }
    }
}

fn fork_worker(py: Python<'_>, rank: UnixStream, ordered: Ordered) -> anyhow::Result<(Changes, RawFd)> {
    ordered.take_streams()?;
    let supervisor = rustix::process::getpid();
    if let Some(worker) = ffi::fork().context("cannot fork the worker")? {
        return Err(supervise(worker, rank, &ordered));
    }
    drop(rank);
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    ensure!(rustix::process::getppid() == Some(supervisor), "the supervisor has ended");
    // A group of its own: what user code sends to its group must not reach the launcher.
    rustix::process::setpgid(None, None)?;
    ffi::replace_argument(b"zygote", b"worker");
    let start = ordered.take()?;
    ffi::after_fork_in_child(py);
    Ok(start)
}

/// Turns this process into the supervisor of its child `worker`. Returns only when that failed; then the worker dies
/// with this process.
fn supervise(worker: Pid, rank: UnixStream, ordered: &Ordered) -> anyhow::Error {
    let run = || {
        let (program, arguments) = ordered.supervisor.split_first().context("no supervisor is named")?;
        let handed = [ordered.faults.as_fd(), rank.as_fd()];
        for descriptor in handed {
            rustix::io::fcntl_setfd(descriptor, FdFlags::empty())?;
        }
        let mut command = Command::new(OsStr::from_bytes(program));
        command.args(arguments.iter().map(|word| OsStr::from_bytes(word)));
        command.arg(worker.as_raw_nonzero().to_string());
        command.args(handed.map(|descriptor| descriptor.as_raw_fd().to_string()));
        let text = |bytes| OsStr::from_bytes(bytes);
        command.env_clear();
        command.envs(ordered.environment.iter().map(|(name, value)| (text(name), text(value))));
        frame::write(&mut &rank, &FromZygote::Forked)?;
        Err(command.exec()).context("cannot run the supervisor")
    };
    let Err::<std::convert::Infallible, anyhow::Error>(error) = run();
    error
}
