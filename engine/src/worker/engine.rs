//! The engine as its Python sees it: how it comes up, what it is, how it leaves. What it does is in [`tasks`] and
//! [`reports`].

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::Context as _;
use fabric::comm::Comm;
use fabric::config::RankConfig;
use fabric::message::BUILD;
use fabric::message::lifeline::{Door, Hello, Role, WorkerHello};
use fabric::message::report::Event;
use fabric::message::task::TaskId;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use super::link::Link;
use super::queue::Queue;
use super::stack::Stack;
use super::{lifeline, world};
use crate::capture::Capture;
use crate::farewell::FAREWELL;
use crate::{ffi, threads};

mod reports;
mod tasks;

/// One rank's engine. There is one, made on the main thread; it lives as long as the process.
#[pyclass(frozen, module = "_parallel_python")]
pub(super) struct Engine {
    set: RankConfig,
    door: Door,
    rank: u32,
    size: u32,
    library: String,
    link: Arc<Link>,
    tasks: Mutex<Queue>,
    comm: Mutex<Option<Comm>>,
    capture: OnceLock<Capture<TaskId>>,
    stack: Arc<Stack>,
    /// Where the supervisor looks for what a crash has to say.
    faults: Option<File>,
    /// Sockets that a forked child must not keep open.
    sockets: Vec<RawFd>,
}

#[pymethods]
impl Engine {
    /// Connects to the kernel and enters the world of ranks, together with every other rank.
    #[new]
    fn new(py: Python<'_>, config: PathBuf, faults: Option<i32>, door: &str) -> PyResult<Engine> {
        let door = match door {
            "embedded" => Door::Embedded,
            "extension" => Door::Extension,
            other => return Err(PyValueError::new_err(format!("no door `{other}`"))),
        };
        py.detach(|| Engine::enter(&config, faults, door))
            .map_err(|error| PyRuntimeError::new_err(format!("{error:#}")))
    }

    /// This rank, which is the engine's id.
    #[getter]
    fn rank(&self) -> u32 {
        self.rank
    }

    /// The size of `COMM_WORLD`.
    #[getter]
    fn size(&self) -> u32 {
        self.size
    }

    /// What `MPI_Get_library_version` says.
    #[getter]
    fn library(&self) -> &str {
        &self.library
    }

    /// Environment variables to put back before user code: `(name, value or None)`.
    #[getter]
    fn restore(&self) -> Vec<(String, Option<String>)> {
        self.set.restore.clone()
    }

    /// Threads for BLAS and OpenMP where the user sets none.
    #[getter]
    fn threads(&self) -> Option<u32> {
        self.set.threads
    }

    /// The descriptor for `faulthandler.enable`.
    #[getter]
    fn faults(&self) -> Option<RawFd> {
        self.faults.as_ref().map(|file| file.as_raw_fd())
    }

    /// The signal and the descriptor for `faulthandler.register`.
    #[getter]
    fn stacks(&self) -> (i32, RawFd) {
        (Stack::signal(), self.stack.descriptor())
    }

    /// Takes over descriptors 1 and 2: from here on everything that is written is reported.
    fn capture(&self) -> PyResult<()> {
        let link = Arc::clone(&self.link);
        // Text that cannot be sent is too large to be read.
        let sink =
            move |task: &TaskId, name, text| drop(link.report(*task, vec![Event::Stream { name, text }]));
        let capture = Capture::start(0, Box::new(sink))?;
        let _ = self.capture.set(capture);
        Ok(())
    }

    /// Tells the kernel that the engine takes tasks.
    fn hello(&self, host: String, python: String, executable: String) -> PyResult<()> {
        let hello = WorkerHello {
            rank: self.rank,
            size: self.size,
            host,
            python,
            executable,
            mpi: self.library.clone(),
            door: self.door,
        };
        let role = Role::Worker(hello);
        let hello = Hello { build: BUILD.to_owned(), pid: std::process::id(), role };
        self.link.hello(&hello).map_err(|error| PyRuntimeError::new_err(error.to_string()))
    }

    /// Whether this is a child that user code forked.
    fn is_fork(&self) -> bool {
        self.capture.get().is_some_and(Capture::is_fork)
    }

    /// Makes a forked child harmless: it prints to its descriptors and holds none of the engine's sockets.
    fn after_fork(&self) -> PyResult<()> {
        if let Some(capture) = self.capture.get() {
            capture.after_fork();
        }
        let null = File::options().read(true).write(true).open("/dev/null")?;
        for socket in &self.sockets {
            // Not closed: its number must not be given to another file while somebody thinks to own it.
            ffi::replace_descriptor(null.as_raw_fd(), *socket);
        }
        Ok(())
    }

    /// Leaves the world in good order, if MPI still is, and ends the process.
    fn leave(&self, py: Python<'_>) {
        self.flush(py);
        if py.detach(|| self.finalize()) {
            // MPICH takes leave of its launcher in an exit handler of C's, and the launcher kills the other
            // ranks when that is left out.
            ffi::exit(0);
        }
        ffi::exit_now(0)
    }
}

impl Engine {
    fn enter(config: &std::path::Path, faults: Option<i32>, door: Door) -> anyhow::Result<Engine> {
        fabric::sys::punctual();
        let set = crate::config::read(config)?;
        let faults = faults.map(ffi::adopt_descriptor).transpose()?.map(File::from);
        let lifeline = UnixStream::connect(&set.socket)
            .with_context(|| format!("no kernel listens on `{}`", set.socket.display()))?;
        let reader = lifeline.try_clone()?;
        let mut sockets = vec![lifeline.as_raw_fd(), reader.as_raw_fd()];
        let (link, stack) = (Arc::new(Link::new(lifeline)), Arc::new(Stack::new()?));
        // MPI and lifeline → Python's main thread, tasks. The kernel bounds it: it sends a task after
        // the one before is done.
        let (sender, arriving) = channel();
        let (for_thread, for_stack, from_lifeline) = (Arc::clone(&link), Arc::clone(&stack), sender.clone());
        threads::spawn("lifeline", move || {
            lifeline::listen(reader, &for_thread, &from_lifeline, &for_stack);
        })?;
        let world = world::enter(&set, sender)?;
        sockets.extend(world.gateway);
        // Launchers hand descriptors to ranks that no process of a cell should hold open.
        ffi::close_all_on_exec();
        link.set_outbox(world.outbox);
        link.guard.set_mpi(world.calls);
        let tasks = Mutex::new(Queue::new(world.comm.inbox(arriving)));
        Ok(Engine {
            set,
            door,
            rank: world.rank,
            size: world.size,
            library: world.library,
            link,
            tasks,
            comm: Mutex::new(Some(world.comm)),
            capture: OnceLock::new(),
            stack,
            faults,
            sockets,
        })
    }

    /// Finalises MPI and tells the supervisor so: whether that went well.
    fn finalize(&self) -> bool {
        let comm = self.comm.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(comm) = comm else { return false };
        let fabric = comm.stop();
        if self.link.is_rescue() || fabric.finalize().is_err() {
            return false;
        }
        self.faults.as_ref().is_some_and(|mut file| file.write_all(FAREWELL).is_ok())
    }
}
