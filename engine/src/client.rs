//! The client API's link to the cluster core, as Python sees it (`python/parallel_python/client/`).
//!
//! ```text
//!  Python ─ submit, recall, … ─► Ask ─► the process's link, or a socket ─► core
//!  Python ◄─ next() ◄─ inbox ◄─ reader thread ◄─ Told ◄──────────────────────┘
//! ```
//!
//! **Invariant**: nothing here waits with the GIL held; what is told is handed over once, in order.
//!
//! **Boundary**: what it means is Python's business; Rust does not look into pickles.

use std::path::PathBuf;
use std::sync::Arc;

use fabric::frame::FrameError;
use fabric::message::client::{Ask, EnginesAction, Forgotten, Query};
use pyo3::exceptions::{PyConnectionError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::local::wait::MainThread;

mod bell;
mod socket;
mod submissions;
mod told;

use bell::Bell;
use submissions::Submitted;
pub(crate) use told::Inbox;

/// Sends one message on its way; called without the GIL.
pub(crate) type Post = Box<dyn Fn(Ask) -> Result<(), FrameError> + Send + Sync>;

/// The link to the cluster core. There is one in a process; any thread may use it.
#[pyclass(frozen, module = "_parallel_python")]
pub(crate) struct ClientLink {
    post: Post,
    inbox: Arc<Inbox>,
    main: Arc<MainThread>,
}

impl ClientLink {
    pub(crate) fn new(post: Post, inbox: Arc<Inbox>, main: Arc<MainThread>) -> ClientLink {
        ClientLink { post, inbox, main }
    }

    fn ask(&self, py: Python<'_>, ask: Ask) -> PyResult<()> {
        py.detach(|| (self.post)(ask)).map_err(|error| match error {
            FrameError::Io(_) => PyConnectionError::new_err(format!("the engines' core is gone: {error}")),
            error => PyValueError::new_err(format!("cannot be sent to the engines: {error}")),
        })
    }
}

#[pymethods]
impl ClientLink {
    /// Connects to the engines of another process of this user, by the path of its client socket.
    #[staticmethod]
    fn connect(py: Python<'_>, path: PathBuf) -> PyResult<ClientLink> {
        let main = MainThread::new()?;
        let (post, inbox) = py
            .detach(|| socket::connect(&path))
            .map_err(|error| PyConnectionError::new_err(format!("{error:#}")))?;
        Ok(ClientLink::new(post, inbox, main))
    }

    /// Asks to be told of the engines from now on; starts them if they are off.
    fn open(&self, py: Python<'_>) -> PyResult<()> {
        self.ask(py, Ask::Open)
    }

    /// Has work done: tuples of name, label, placement and work. Who makes more of it `yields`: the kernel that was woken
    /// often waits for this very processor, and engines for the kernel.
    #[pyo3(signature = (submissions, yields=false))]
    fn submit(&self, py: Python<'_>, submissions: Vec<Submitted<'_>>, yields: bool) -> PyResult<()> {
        let submissions = submissions.into_iter().map(submissions::submission).collect::<PyResult<_>>()?;
        self.ask(py, Ask::Submit { submissions })?;
        if yields {
            py.detach(rustix::thread::sched_yield);
        }
        Ok(())
    }

    /// Asks for everything about these tasks, from the beginning.
    fn recall(&self, py: Python<'_>, ask: u64, names: Vec<String>) -> PyResult<()> {
        self.ask(py, Ask::Recall { ask, names })
    }

    /// Takes back what has not begun of these tasks.
    fn abort(&self, py: Python<'_>, ask: u64, names: Vec<String>) -> PyResult<()> {
        self.ask(py, Ask::Abort { ask, names })
    }

    /// Interrupts these tasks where they run, and takes them back where they have not begun.
    fn interrupt(&self, py: Python<'_>, names: Vec<String>) -> PyResult<()> {
        self.ask(py, Ask::Interrupt { names })
    }

    /// Sends a signal to engines' processes.
    fn signal(&self, py: Python<'_>, ask: u64, targets: Vec<u32>, signal: i32) -> PyResult<()> {
        self.ask(py, Ask::Signal { ask, targets, signal })
    }

    /// `start`, `stop` or `restart` the engines.
    #[pyo3(signature = (ask, action, count=None))]
    fn engines(&self, py: Python<'_>, ask: u64, action: &str, count: Option<u32>) -> PyResult<()> {
        let action = match action {
            "start" => EnginesAction::Start,
            "stop" => EnginesAction::Stop,
            "restart" => EnginesAction::Restart,
            other => return Err(PyValueError::new_err(format!("cannot `{other}` engines"))),
        };
        self.ask(py, Ask::Engines { ask, action, count })
    }

    /// Asks for `queues`, `records`, the engines' `status` or the `stacks` of some.
    fn query(&self, py: Python<'_>, ask: u64, query: &str, targets: Vec<u32>) -> PyResult<()> {
        let query = match query {
            "queues" => Query::Queues,
            "records" => Query::Records,
            "status" => Query::Status,
            "stacks" => Query::Stacks { targets },
            other => return Err(PyValueError::new_err(format!("there is no query `{other}`"))),
        };
        self.ask(py, Ask::Query { ask, query })
    }

    /// Says that these tasks are held no more, `watch`; that their `values` were taken as well; or that nobody asks for
    /// their `records` again.
    fn forget(&self, py: Python<'_>, names: Vec<String>, what: &str) -> PyResult<()> {
        let what = match what {
            "watch" => Forgotten::Watch,
            "values" => Forgotten::Values,
            "records" => Forgotten::Records,
            other => return Err(PyValueError::new_err(format!("cannot forget `{other}`"))),
        };
        self.ask(py, Ask::Forget { names, what })
    }

    /// Makes something to sleep on.
    fn bell(&self) -> PyResult<Bell> {
        Ok(Bell::new(Arc::clone(&self.main))?)
    }

    /// Rings bells, and waits until something is told: everything that is there, as tuples; None when the link has
    /// ended.
    fn next<'py>(&self, py: Python<'py>, bells: Vec<Py<Bell>>) -> PyResult<Option<Bound<'py, PyList>>> {
        let told = match self.inbox.take() {
            // The GIL is kept: who else wants it would take it for milliseconds.
            Some(told) if bells.is_empty() => told,
            found => py.detach(|| {
                bells.iter().for_each(|bell| bell.get().ring_now());
                found.unwrap_or_else(|| self.inbox.wait())
            }),
        };
        told.map(|told| {
            PyList::new(py, told.iter().map(|one| told::tuple(py, one)).collect::<PyResult<Vec<_>>>()?)
        })
        .transpose()
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ClientLink>()?;
    module.add_class::<Bell>()
}
