//! The link to the kernel as Python sees it.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};

use fabric::message::local::{Answer, Channel, Found, FromLocal, MagicSpec, Message};
use fabric::message::report::StreamName;
use fabric::message::{BUILD, Buffer};
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};

use super::calls::Calls;
use super::inbox::{Inbox, Item, Queue, configured, parts};
use super::interrupt::Interrupt;
use super::outgoing::Outgoing;
use super::place::Place;
use super::reader::{self, Routes, Setup};
use super::wait::{MainThread, wait_for};
use crate::capture::Capture;
use crate::client::ClientLink;
use crate::{client, ffi, threads};

/// A magic as Python takes it: name, whether it is a line magic, whether it is a cell magic, whether sets with a suffix
/// have it too, help.
type Spec = (String, bool, bool, bool, String);

/// The header of the request that text belongs to, as JSON; empty when there is none.
type Tag = Arc<[u8]>;

/// The link to the kernel process. There is one, made on the main thread; it lives as long as the process.
#[pyclass(frozen, module = "_parallel_python")]
pub(super) struct Link {
    file: &'static File,
    outgoing: Arc<Outgoing>,
    capture: Capture<Tag>,
    /// The tag of the last text, so that equal ones share their memory.
    tag: Mutex<Tag>,
    routes: Arc<Routes>,
    setup: Mutex<Receiver<Setup>>,
    place: Place,
    main: Arc<MainThread>,
}

#[pymethods]
impl Link {
    /// Takes over the descriptor, starts to read it, and captures descriptors 1 and 2.
    #[new]
    fn new(descriptor: i32) -> PyResult<Self> {
        let file = File::from(ffi::adopt_descriptor(descriptor)?);
        let file: &'static File = Box::leak(Box::new(file));
        let routes = Arc::new(Routes {
            main: Queue::new()?,
            control: Queue::new()?,
            stdin: Queue::new()?,
            subshells: Mutex::default(),
            calls: Calls::default(),
            interrupt: Interrupt::new(),
            client: client::Inbox::new()?,
        });
        // reader → `Link::setup`, the first message
        let (sender, setup) = channel();
        let for_thread = Arc::clone(&routes);
        threads::spawn("link", move || reader::run(file, &for_thread, &sender))?;
        let outgoing = Arc::new(Outgoing::new(file));
        let sink = Arc::clone(&outgoing);
        let tag = Tag::from([]);
        let place = Place::find();
        let capture = Capture::start(
            Arc::clone(&tag),
            Box::new(move |tag: &Tag, name, text| {
                let parent = Buffer::from(tag.to_vec());
                // Pieces of text are far below the size of a frame.
                let _ = sink.send(&FromLocal::Stream { name, text, parent });
            }),
        )?;
        let main = MainThread::new()?;
        let (tag, setup) = (Mutex::new(tag), Mutex::new(setup));
        Ok(Link { file, outgoing, capture, tag, routes, setup, place, main })
    }

    /// Waits for the kernel's first message: session id, connection file and magics.
    fn setup(&self, py: Python<'_>) -> PyResult<(String, String, Vec<Spec>)> {
        let setup = py.detach(|| self.setup.lock().unwrap_or_else(PoisonError::into_inner).recv());
        let Setup { session, connection_file, magics } =
            setup.map_err(|_| PyRuntimeError::new_err("the kernel has closed the link"))?;
        let spec = |magic: MagicSpec| (magic.name, magic.line, magic.cell, magic.suffixed, magic.help);
        Ok((session, connection_file, magics.into_iter().map(spec).collect()))
    }

    /// Says that the shell is ready; `kernel_info` is the JSON content of a `kernel_info_reply`.
    fn hello(&self, py: Python<'_>, python: String, kernel_info: Vec<u8>) -> PyResult<()> {
        let pid = std::process::id();
        let kernel_info = Buffer::from(kernel_info);
        self.post(py, FromLocal::Hello { build: BUILD.to_owned(), pid, python, kernel_info })
    }

    /// Says that this Python cannot be the notebook's.
    fn unfit(&self, py: Python<'_>, reason: String) -> PyResult<()> {
        self.post(py, FromLocal::Unfit { reason })
    }

    /// Sends a Jupyter message; all text written before goes out before it.
    #[allow(clippy::too_many_arguments)] // a Jupyter message has that many parts
    fn send(
        &self,
        py: Python<'_>,
        channel: u8,
        identities: Vec<Vec<u8>>,
        header: Vec<u8>,
        parent: Vec<u8>,
        metadata: Vec<u8>,
        content: Vec<u8>,
        buffers: Vec<Vec<u8>>,
    ) -> PyResult<()> {
        let channel = match channel {
            0 => Channel::Shell,
            1 => Channel::Control,
            2 => Channel::Stdin,
            3 => Channel::Iopub,
            other => return Err(PyValueError::new_err(format!("no channel {other}: they are 0 to 3"))),
        };
        let many = |list: Vec<Vec<u8>>| list.into_iter().map(Buffer::from).collect();
        let message = Message {
            channel,
            identities: many(identities),
            header: Buffer::from(header),
            parent: Buffer::from(parent),
            metadata: Buffer::from(metadata),
            content: Buffer::from(content),
            buffers: many(buffers),
        };
        self.post(py, FromLocal::Message(message))
    }

    /// Writes text to stdout (0) or stderr (1) for the request with this header; its length in characters.
    fn write(
        &self,
        py: Python<'_>,
        stream: u8,
        text: &Bound<'_, PyString>,
        parent: &Bound<'_, PyBytes>,
    ) -> PyResult<usize> {
        let name = if stream == 0 { StreamName::Stdout } else { StreamName::Stderr };
        let length = text.len()?;
        // Lone surrogates are no characters: they are shown as U+FFFD.
        let lossy;
        let text = match text.to_str() {
            Ok(text) => text,
            Err(_) => {
                lossy = text.to_string_lossy().into_owned();
                &lossy
            }
        };
        if self.capture.is_fork() {
            py.detach(|| self.capture.write(name, text));
            return Ok(length);
        }
        let tag = self.tag(parent.as_bytes());
        if !self.capture.try_write_as(&tag, name, text) {
            py.detach(|| self.capture.write_as(tag, name, text));
        }
        Ok(length)
    }

    /// Sends all text that has been written, by Python, C and child processes.
    fn drain(&self, py: Python<'_>) {
        py.detach(|| self.capture.flush());
    }

    /// What C code and child processes write from here on belongs to the request with this header.
    fn set_parent(&self, py: Python<'_>, parent: &Bound<'_, PyBytes>) {
        let parent = parent.as_bytes();
        py.detach(|| self.capture.set_tag(self.tag(parent)));
    }

    /// Says that a shell request is over; `main` tells whether it was the main shell's.
    fn finished(
        &self,
        py: Python<'_>,
        msg_id: String,
        next_count: u32,
        failed: bool,
        main: bool,
    ) -> PyResult<()> {
        if main {
            self.routes.interrupt.finished();
        }
        self.post(py, FromLocal::Finished { msg_id, next_count, failed })
    }

    /// Has the kernel run a parallel magic and waits for it. Returns a tuple that begins with how it went: `done`,
    /// `failed` (name, text, traceback), `usage` (text), `interrupted`, `result` (task, variable, whether it is the
    /// value), `configured` (suffix, targets, whether calls wait), or `here` (what to give to `resume` when the cell
    /// has run here).
    fn call<'py>(
        &self,
        py: Python<'py>,
        magic: String,
        line: String,
        cell: Option<String>,
        parent: Vec<u8>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let parent = Buffer::from(parent);
        self.ask(py, |call| FromLocal::Call { call, magic, line, cell, parent })
    }

    /// Waits on for a magic whose cell has run here; the same tuple.
    fn resume<'py>(&self, py: Python<'py>, paused: u64) -> PyResult<Bound<'py, PyTuple>> {
        self.ask(py, |call| FromLocal::Resume { paused, call })
    }

    /// A view takes over the set of magics with this suffix.
    fn activate(&self, py: Python<'_>, suffix: String, targets: String, block: bool) -> PyResult<()> {
        self.post(py, FromLocal::Activate { suffix, targets, block })
    }

    /// Says whether the user's namespace has a name, and of which module that is.
    fn sought(&self, py: Python<'_>, name: String, known: bool, module: Option<String>) -> PyResult<()> {
        let found = match (known, module) {
            (false, _) => Found::Nothing,
            (true, None) => Found::Value,
            (true, Some(module)) => Found::Module(module),
        };
        self.post(py, FromLocal::Sought { name, found })
    }

    /// Forgets answers that nobody waited for: the next one is for the next question.
    fn discard_input(&self) {
        self.routes.stdin.clear();
    }

    /// Waits for the client's next message on stdin.
    fn wait_input<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let stdin = &self.routes.stdin;
        let item = wait_for(py, stdin, self.main.wakeup(), || stdin.take())?;
        match item {
            Item::Message { message, .. } => parts(py, &message),
            _ => Err(PyRuntimeError::new_err("not a message: the stdin inbox holds nothing else")),
        }
    }

    /// The client API's way to the kernel.
    fn client(&self) -> ClientLink {
        let outgoing = Arc::clone(&self.outgoing);
        let post = Box::new(move |ask| outgoing.send(&FromLocal::Client(ask)));
        ClientLink::new(post, Arc::clone(&self.routes.client), Arc::clone(&self.main))
    }

    /// The main shell's inbox.
    fn shell(&self) -> Inbox {
        Inbox::new(Arc::clone(&self.routes.main))
    }

    /// The control channel's inbox.
    fn control(&self) -> Inbox {
        Inbox::new(Arc::clone(&self.routes.control))
    }

    /// Opens the inbox of a subshell.
    fn open_subshell(&self, id: String) -> PyResult<Inbox> {
        let queue = Queue::new()?;
        self.routes.subshells().insert(id, Arc::clone(&queue));
        Ok(Inbox::new(queue))
    }

    /// Closes the inbox of a subshell: messages for it count as astray from here on.
    fn close_subshell(&self, id: &str) {
        self.routes.subshells().remove(id);
    }

    /// Notes that the statement at this line of the cell begins, or with 0 that it has ended.
    fn mark_line(&self, line: u32) {
        self.place.mark(line);
    }

    /// User code begins in the main thread; tells whether it has been interrupted already.
    fn arm(&self) -> bool {
        self.routes.interrupt.arm()
    }

    /// User code has ended.
    fn disarm(&self) {
        self.routes.interrupt.disarm();
    }

    /// The descriptors for `signal.set_wakeup_fd` and for the event loop that is to be woken.
    fn wakeup_descriptors(&self) -> (i32, i32) {
        self.main.descriptors()
    }

    /// Forgets the signals that have woken the event loop.
    fn woken(&self) {
        self.main.woken();
    }

    /// The descriptor of what was standard error before.
    fn log_descriptor(&self) -> i32 {
        self.capture.log().as_raw_fd()
    }

    /// To be called in a forked child: it writes to its descriptors, and keeps no end of the link.
    fn after_fork(&self) -> PyResult<()> {
        self.capture.after_fork();
        let null = File::options().read(true).write(true).open("/dev/null");
        let null = null.map_err(|error| PyOSError::new_err(error.to_string()))?;
        ffi::replace_descriptor(null.as_raw_fd(), self.file.as_raw_fd());
        Ok(())
    }
}

impl Link {
    /// Sends a message after all text that was written before it.
    fn post(&self, py: Python<'_>, message: FromLocal) -> PyResult<()> {
        py.detach(|| {
            self.capture.flush();
            self.outgoing.send(&message)
        })
        .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// Asks the kernel and waits for its answer.
    fn ask<'py>(
        &self,
        py: Python<'py>,
        question: impl FnOnce(u64) -> FromLocal,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let (call, slot) = self.routes.calls.open()?;
        let answer = self
            .post(py, question(call))
            .and_then(|()| wait_for(py, &slot, self.main.wakeup(), || slot.take()));
        self.routes.calls.close(call);
        if answer.is_err() {
            self.post(py, FromLocal::Withdraw { call })?;
        }
        match answer? {
            Answer::Done => ("done",).into_pyobject(py),
            Answer::Failed { shown, each } => {
                let each: Vec<_> = each
                    .into_iter()
                    .map(|(rank, raised)| (rank, raised.ename, raised.evalue, raised.traceback))
                    .collect();
                ("failed", shown.ename, shown.evalue, shown.traceback, each).into_pyobject(py)
            }
            Answer::Usage(text) => ("usage", text).into_pyobject(py),
            Answer::Interrupted => ("interrupted",).into_pyobject(py),
            Answer::Result { name, variable, show } => ("result", name, variable, show).into_pyobject(py),
            Answer::Configured(change) => configured(py, &change),
            Answer::RunHere => ("here", call).into_pyobject(py),
        }
    }

    fn tag(&self, parent: &[u8]) -> Tag {
        let mut last = self.tag.lock().unwrap_or_else(PoisonError::into_inner);
        if **last != *parent {
            *last = Tag::from(parent);
        }
        Arc::clone(&last)
    }
}
