//! What a task reports: text, displays, its value, its end.
//!
//! **Invariant**: everything arrives in the order in which Python said it, text that C or a child wrote included: a
//! report goes out after what was written before. A forked child reports nothing.

use std::io::Write as _;

use fabric::message::payload::Payload;
use fabric::message::report::{Event, Outcome, Raised, StreamName};
use fabric::message::task::TaskId;
use fabric::message::{Buffer, Json};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::Engine;
use crate::capture::Capture;
use crate::payload;

#[pymethods]
impl Engine {
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
    pub(super) fn flush(&self, py: Python<'_>) {
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

    /// Reports a payload of the cell's reply.
    fn payload(&self, py: Python<'_>, content: Vec<u8>) -> PyResult<()> {
        self.report(py, Event::Payload { content: Json::from(content) })
    }

    /// Reports what the cell used: processor time in seconds, peak memory in bytes.
    fn usage(&self, py: Python<'_>, cpu: f64, peak: u64) -> PyResult<()> {
        self.report(py, Event::Usage { cpu, peak })
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
}

impl Engine {
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
    pub(super) fn report(&self, py: Python<'_>, event: Event) -> PyResult<()> {
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
    pub(super) fn captured(&self, py: Python<'_>, body: impl FnOnce(&Capture<TaskId>) + Send) {
        if let Some(capture) = self.capture.get() {
            py.detach(|| body(capture));
        }
    }
}
