//! The link to the kernel as Python sees it: how it comes up and what hangs on it. What goes over it is in
//! [`messages`] and [`magics`].

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};

use fabric::message::local::{FromLocal, MagicSpec};
use fabric::message::{BUILD, Buffer};
use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;

use super::calls::Calls;
use super::inbox::{Inbox, Queue};
use super::interrupt::{Interrupt, InterruptHandler};
use super::outgoing::Outgoing;
use super::place::Place;
use super::reader::{self, Routes, Setup};
use super::wait::MainThread;
use crate::capture::Capture;
use crate::client::ClientLink;
use crate::{ffi, threads};

mod magics;
mod messages;

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
            interrupt: Arc::new(Interrupt::new()),
            client: Arc::default(),
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

    /// The handler of SIGINT while user code runs; `keeps_locks(frame)` says where nothing is raised.
    fn interrupt_handler(&self, keeps_locks: Py<PyAny>) -> InterruptHandler {
        InterruptHandler { interrupt: Arc::clone(&self.routes.interrupt), keeps_locks }
    }

    /// Python has dropped the `KeyboardInterrupt` of the code that runs: it is interrupted again in a moment.
    fn interrupt_again(&self) {
        self.routes.interrupt.again();
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
