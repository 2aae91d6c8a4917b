//! The engine as its Python sees it.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use anyhow::Context as _;
use fabric::comm::Comm;
use fabric::config::RankConfig;
use fabric::message::lifeline::{Door, FromWorker, Hello, Question, Role, WorkerHello};
use fabric::message::payload::Payload;
use fabric::message::report::{Event, Outcome, Raised, StreamName};
use fabric::message::task::{TaskId, Work};
use fabric::message::{BUILD, Buffer, Json};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

use super::link::Link;
use super::queue::{Queue, Turn};
use super::stack::Stack;
use super::{interrupted, lifeline, world};
use crate::capture::Capture;
use crate::farewell::FAREWELL;
use crate::{ffi, payload, threads};

/// When an interrupt comes again that Python has dropped: the code that dropped it is short.
const AGAIN: Duration = Duration::from_millis(1);

/// What a call returned, or what it raised.
type Outcomes<'py> = (Option<Bound<'py, PyAny>>, Option<Bound<'py, PyAny>>);

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

    /// Waits for the next task: `(id, "execute", code, store_history, measure)`, `(id, "apply", pickle, buffers)`,
    /// `(id, "comm", header, content, metadata, buffers)` or `(0, "look", question, kind, code, cursor, detail)`;
    /// None when the engine is to quit.
    fn next_task<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let Some((id, work)) = py.detach(|| self.wait_for_task()) else { return Ok(None) };
        let tuple = match work {
            Work::Execute { code, store_history, measure } => {
                (id, "execute", code, store_history, measure).into_pyobject(py)?
            }
            Work::Apply { payload } => {
                let (pickle, buffers) = payload::to_python(py, &payload)?;
                (id, "apply", pickle, buffers).into_pyobject(py)?
            }
            Work::Look { question, about: Question::Complete { code, cursor } } => {
                (id, "look", question, "complete", code, cursor, 0_u64).into_pyobject(py)?
            }
            Work::Look { question, about: Question::Inspect { code, cursor, detail } } => {
                (id, "look", question, "inspect", code, cursor, detail).into_pyobject(py)?
            }
            Work::Comm { header, content, metadata, buffers } => {
                let bytes = |part: &Buffer| PyBytes::new(py, part);
                let buffers = PyList::new(py, buffers.iter().map(bytes))?;
                (id, "comm", bytes(&header), bytes(&content), bytes(&metadata), buffers).into_pyobject(py)?
            }
        };
        Ok(Some(tuple))
    }

    /// Calls `body()` as the given task: `(its value, what it raised)`, one of which is None.
    ///
    /// SIGINT is sent in here and nowhere else, and what was sent has been handled when this returns.
    fn run<'py>(&self, body: &Bound<'py, PyAny>, task: TaskId) -> PyResult<Outcomes<'py>> {
        let py = body.py();
        self.captured(py, |capture| capture.set_tag(task));
        self.link.guard.begin(task);
        let result = body.call0();
        self.link.guard.end();
        // What has arrived by now is too late. Python runs handlers where it is asked to: here.
        while py.check_signals().is_err() {}
        interrupted::forget(py);
        if self.is_fork() {
            // A child that a cell forked has come to the cell's end; it is no engine.
            ffi::flush_c_output();
            ffi::exit_now(i32::from(result.is_err()));
        }
        Ok(match result {
            Ok(value) => (Some(value), None),
            Err(error) => (None, Some(error.into_value(py).into_bound(py).into_any())),
        })
    }

    /// Adds text that Python wrote to `"stdout"` or `"stderr"`.
    fn write(&self, py: Python<'_>, name: &str, text: &str) -> PyResult<()> {
        let name = match name {
            "stdout" => StreamName::Stdout,
            "stderr" => StreamName::Stderr,
            other => return Err(PyValueError::new_err(format!("no stream `{other}`"))),
        };
        match self.capture.get() {
            // The kernel may have to be waited for.
            Some(capture) if !capture.try_write(name, text) => py.detach(|| capture.write(name, text)),
            Some(_) => {}
            None => std::io::stderr().write_all(text.as_bytes())?,
        }
        Ok(())
    }

    /// Reports what was written so far.
    fn flush(&self, py: Python<'_>) {
        self.captured(py, Capture::flush);
    }

    /// Reports an iopub message, after what was written before.
    fn publish(
        &self,
        py: Python<'_>,
        msg_type: String,
        content: Vec<u8>,
        metadata: Vec<u8>,
        buffers: Vec<Vec<u8>>,
    ) -> PyResult<()> {
        let buffers = buffers.into_iter().map(Buffer::from).collect();
        let (content, metadata) = (Json::from(content), Json::from(metadata));
        self.report(py, Event::Publish { msg_type, content, metadata, buffers })
    }

    /// Reports the value of a cell's last expression.
    fn result(&self, py: Python<'_>, count: u32, content: Vec<u8>) -> PyResult<()> {
        self.report(py, Event::Result { count, content: Json::from(content) })
    }

    /// Reports the value of a call and its end: a pickle, and its buffers as bytes-like objects or as the places
    /// `(holder, descriptor, offset, length)` of memory files, which are closed when the kernel has opened them.
    ///
    /// # Errors
    /// `ValueError` when the value is too large to be sent; then nothing was reported.
    fn returned(
        &self,
        py: Python<'_>,
        pickle: &Bound<'_, PyBytes>,
        buffers: Vec<Bound<'_, PyAny>>,
        count: u32,
        started: f64,
        completed: f64,
    ) -> PyResult<()> {
        let payload = self.hand_over(py, pickle, buffers)?;
        self.end();
        let done = Event::Done { outcome: Outcome::Ok, count, started, completed };
        self.report_payload(py, vec![Event::Value { payload }, done])
    }

    /// Reports what the task shows of its state while it runs; as `returned`.
    fn data(
        &self,
        py: Python<'_>,
        pickle: &Bound<'_, PyBytes>,
        buffers: Vec<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let payload = self.hand_over(py, pickle, buffers)?;
        self.report_payload(py, vec![Event::Data { payload }])
    }

    /// Reports a payload of the cell's reply.
    fn payload(&self, py: Python<'_>, content: Vec<u8>) -> PyResult<()> {
        self.report(py, Event::Payload { content: Json::from(content) })
    }

    /// Reports what the cell used: processor time in seconds, peak memory in bytes.
    fn usage(&self, py: Python<'_>, cpu: f64, peak: u64) -> PyResult<()> {
        self.report(py, Event::Usage { cpu, peak })
    }

    /// The statement at this line of the cell begins; 0: none runs. A process that is killed can say nothing, so
    /// it stands where the supervisor looks.
    fn mark_line(&self, line: u32) {
        if let Some(file) = &self.faults {
            // Without it an obituary says less; that is all.
            let _ = file.write_at(&line.to_ne_bytes(), 0);
        }
    }

    /// Python has dropped the `KeyboardInterrupt` of the task that runs: it is interrupted again in a moment.
    fn interrupt_again(&self) {
        let link = Arc::clone(&self.link);
        if let Some(task) = link.guard.running() {
            let again = move || {
                sleep(AGAIN);
                link.guard.interrupt(task);
            };
            // Without a thread to be had the person has to interrupt again.
            drop(threads::spawn("interrupt", again));
        }
    }

    /// A cell failed: the cells that wait behind it are not run. Those behind a cell that was interrupted are: it
    /// may have been given up long ago, and they were sent since.
    fn abort_cells(&self) {
        let task = self.capture.get().map_or(0, Capture::tag);
        if self.link.guard.was_interrupted(task) {
            return;
        }
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_cells(&self.link.ledger);
    }

    /// Answers a question about what is being typed: the content of the reply, or None.
    fn answer(&self, py: Python<'_>, question: u64, content: Option<Vec<u8>>) {
        let answer = FromWorker::Answer { question, content: content.map(Json::from) };
        // A kernel that has gone is noticed by the lifeline's reader; one that hears nothing waits no longer.
        py.detach(|| drop(self.link.send(&answer)));
    }

    /// Asks the person at the notebook for a line of text and waits for it: `(True, the text)`, or `(False, why
    /// nobody can be asked)`. An interrupt ends the wait.
    fn ask(&self, py: Python<'_>, prompt: String, password: bool) -> PyResult<(bool, String)> {
        if self.capture.get().is_none() {
            return Ok((false, "an engine that starts cannot ask for input".to_owned()));
        }
        let question = self.link.answers.begin()?;
        self.report(py, Event::Ask { question, prompt, password })?;
        Ok(match self.link.answers.wait(py, question)? {
            Ok(text) => (true, text),
            Err(why) => (false, why),
        })
    }

    /// Reports the end of the task, after everything that it wrote. `raised` is `(ename, evalue, traceback)`.
    fn done(
        &self,
        py: Python<'_>,
        raised: Option<(String, String, Vec<String>)>,
        count: u32,
        started: f64,
        completed: f64,
    ) -> PyResult<()> {
        let outcome = match raised {
            None => Outcome::Ok,
            Some((ename, evalue, traceback)) => Outcome::Error(Raised { ename, evalue, traceback }),
        };
        self.end();
        self.report(py, Event::Done { outcome, count, started, completed })
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
        let text = std::fs::read(config).with_context(|| format!("cannot read `{}`", config.display()))?;
        let set: RankConfig = serde_json::from_slice(&text)
            .with_context(|| format!("`{}` is not an engine set", config.display()))?;
        let faults = faults.map(ffi::adopt_descriptor).transpose()?.map(File::from);
        let lifeline = UnixStream::connect(&set.socket)
            .with_context(|| format!("no kernel listens on `{}`", set.socket.display()))?;
        let reader = lifeline.try_clone()?;
        let mut sockets = vec![lifeline.as_raw_fd(), reader.as_raw_fd()];
        let (link, stack) = (Arc::new(Link::new(lifeline)), Arc::new(Stack::new()?));
        // comm thread and lifeline → Python's main thread, tasks. The kernel bounds it: it sends a task after
        // the one before is done.
        let (sender, tasks) = channel();
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
        Ok(Engine {
            set,
            door,
            rank: world.rank,
            size: world.size,
            library: world.library,
            link,
            tasks: Mutex::new(Queue::new(tasks)),
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

    fn wait_for_task(&self) -> Option<(TaskId, Work)> {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(turn) = tasks.next(&self.link.ledger) {
            if self.link.is_quitting() {
                return None;
            }
            match turn {
                Turn::Begin(task) if task.id != 0 || matches!(task.work, Work::Look { .. }) => {
                    return Some((task.id, task.work));
                }
                Turn::Begin(_) => {}
                Turn::Aborted(task) => self.link.aborted(task),
            }
        }
        None
    }

    /// A value as it travels, its large buffers handed to the kernel.
    fn hand_over(
        &self,
        py: Python<'_>,
        pickle: &Bound<'_, PyBytes>,
        buffers: Vec<Bound<'_, PyAny>>,
    ) -> PyResult<Payload> {
        let payload = payload::from_python(pickle, buffers)?;
        // A forked child's memory files are copies: the kernel does not know of them.
        if !self.is_fork() {
            py.detach(|| self.link.hand_over(&payload));
        }
        Ok(payload)
    }

    /// Reports an event of the task that runs, or that ran last, after what was written before it.
    fn report(&self, py: Python<'_>, event: Event) -> PyResult<()> {
        self.report_all(py, vec![event])
    }

    /// As [`Engine::report_all`]; what cannot be sent is closed here.
    fn report_payload(&self, py: Python<'_>, events: Vec<Event>) -> PyResult<()> {
        let payloads = events.iter().filter_map(Event::payload);
        let files: Vec<u32> = payloads.flat_map(Payload::shared).map(|shared| shared.descriptor).collect();
        self.report_all(py, events).inspect_err(|_| self.link.release(&files))
    }

    fn report_all(&self, py: Python<'_>, events: Vec<Event>) -> PyResult<()> {
        if self.is_fork() {
            return Ok(());
        }
        let Some(capture) = self.capture.get() else { return Ok(()) };
        py.detach(|| {
            capture.flush();
            self.link.report(capture.tag(), events)
        })
        .map_err(|error| PyValueError::new_err(format!("cannot be sent to the notebook: {error}")))
    }

    /// The task that runs has ended; that is about to be reported.
    fn end(&self) {
        if let Some(capture) = self.capture.get() {
            self.link.ledger.end(capture.tag());
        }
    }

    /// Does something with the capture that may have to wait for the kernel to read.
    fn captured(&self, py: Python<'_>, body: impl FnOnce(&Capture<TaskId>) + Send) {
        if let Some(capture) = self.capture.get() {
            py.detach(|| body(capture));
        }
    }
}
