//! Jupyter messages and text, from Python to the kernel, and the answers that `input()` waits for.
//!
//! **Invariant**: what was written before a message goes out before it.

use std::sync::{Arc, PoisonError};

use fabric::message::Buffer;
use fabric::message::local::{Channel, FromLocal, Message};
use fabric::message::report::StreamName;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};

use super::super::inbox::{Item, parts};
use super::super::wait::wait_for;
use super::{Link, Tag};

#[pymethods]
impl Link {
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
}

impl Link {
    /// Sends a message after all text that was written before it.
    pub(super) fn post(&self, py: Python<'_>, message: FromLocal) -> PyResult<()> {
        py.detach(|| {
            self.capture.flush();
            self.outgoing.send(&message)
        })
        .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    fn tag(&self, parent: &[u8]) -> Tag {
        let mut last = self.tag.lock().unwrap_or_else(PoisonError::into_inner);
        if **last != *parent {
            *last = Tag::from(parent);
        }
        Arc::clone(&last)
    }
}
