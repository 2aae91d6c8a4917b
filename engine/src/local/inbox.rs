//! Where the reader leaves what Python is to take: a queue, and a descriptor that an event loop watches.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fabric::message::local::{Message, ViewChange};
use fabric::message::{Buffer, Json};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use rustix::event::{EventfdFlags, eventfd};

/// One thing for Python to do.
pub(super) enum Item {
    /// A client's message; `in_turn` says whether the main shell's next request waits for it.
    Message { message: Message, msg_id: String, in_turn: bool },
    /// A control request that was answered already.
    Answered(Message),
    /// A shell message of which Python must find out whose it is.
    Astray { message: Message, msg_id: String },
    /// A cell that ran on the engines.
    Record { code: String, count: u32 },
    /// The result of a parallel cell that did not wait, for the namespace.
    Bind { name: String, variable: Option<String>, show: bool, parent: Json, count: u32 },
    /// What `%pxconfig` says of a view.
    Configured(ViewChange),
    /// A name that engines do not know.
    Seek { name: String },
    /// The end.
    Quit,
}

/// A queue with a bell.
pub(super) struct Queue {
    items: Mutex<VecDeque<Item>>,
    bell: OwnedFd,
}

impl Queue {
    pub(super) fn new() -> std::io::Result<Arc<Self>> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Arc::new(Queue { items: Mutex::default(), bell }))
    }

    pub(super) fn push(&self, item: Item) {
        self.items().push_back(item);
        // A counter that is full has rung already.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }

    /// The next item; silences the bell when there is none, so that a loop ends by taking nothing.
    pub(super) fn take(&self) -> Option<Item> {
        let mut items = self.items();
        let item = items.pop_front();
        if items.is_empty() {
            let _ = rustix::io::read(&self.bell, &mut [0_u8; 8]);
        }
        item
    }

    pub(super) fn clear(&self) {
        self.items().clear();
        let _ = rustix::io::read(&self.bell, &mut [0_u8; 8]);
    }

    fn items(&self) -> MutexGuard<'_, VecDeque<Item>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

/// What Python sees of a [`Queue`].
#[pyclass(frozen, module = "_parallel_python")]
pub(super) struct Inbox {
    queue: Arc<Queue>,
}

impl Inbox {
    pub(super) fn new(queue: Arc<Queue>) -> Self {
        Inbox { queue }
    }
}

#[pymethods]
impl Inbox {
    /// The descriptor that is readable while something waits.
    fn fileno(&self) -> i32 {
        self.queue.bell.as_raw_fd()
    }

    /// How many things wait.
    fn waiting(&self) -> usize {
        self.queue.items().len()
    }

    /// The next thing as a tuple that begins with what it is, or None.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let tuple = match self.queue.take() {
            None => return Ok(None),
            Some(Item::Message { message, msg_id, in_turn }) => {
                ("message", parts(py, &message)?, msg_id, in_turn).into_pyobject(py)?.into_any()
            }
            Some(Item::Astray { message, msg_id }) => {
                ("astray", parts(py, &message)?, msg_id).into_pyobject(py)?.into_any()
            }
            Some(Item::Answered(message)) => ("answered", parts(py, &message)?).into_pyobject(py)?.into_any(),
            Some(Item::Record { code, count }) => ("record", code, count).into_pyobject(py)?.into_any(),
            Some(Item::Bind { name, variable, show, parent, count }) => {
                let parent = PyBytes::new(py, &parent);
                ("bind", name, variable, show, parent, count).into_pyobject(py)?.into_any()
            }
            Some(Item::Configured(change)) => configured(py, &change)?.into_any(),
            Some(Item::Seek { name }) => ("seek", name).into_pyobject(py)?.into_any(),
            Some(Item::Quit) => ("quit",).into_pyobject(py)?.into_any(),
        };
        Ok(Some(tuple.cast_into::<PyTuple>()?))
    }
}

/// `configured`, suffix, targets as JSON, whether calls wait; None for what stays as it is.
pub(super) fn configured<'py>(py: Python<'py>, change: &ViewChange) -> PyResult<Bound<'py, PyTuple>> {
    let targets = change.targets.as_ref().map(|targets| PyBytes::new(py, targets));
    ("configured", &change.suffix, targets, change.block).into_pyobject(py)
}

/// Identities, header, parent, metadata, content, buffers: `session.Parts` in Python.
pub(super) fn parts<'py>(py: Python<'py>, message: &Message) -> PyResult<Bound<'py, PyTuple>> {
    let bytes = |json: &Buffer| PyBytes::new(py, json);
    let list = |buffers: &[Buffer]| PyList::new(py, buffers.iter().map(bytes));
    (
        list(&message.identities)?,
        bytes(&message.header),
        bytes(&message.parent),
        bytes(&message.metadata),
        bytes(&message.content),
        list(&message.buffers)?,
    )
        .into_pyobject(py)
}
