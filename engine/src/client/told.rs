//! What the core tells, from the thread that reads it to the Python that takes it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use fabric::message::client::{EngineInfo, Told};
use fabric::message::payload::Payload;
use fabric::message::report::{Event, Outcome};
use fabric::message::{Buffer, Rank};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

use crate::payload;

/// Where it waits for Python's thread.
#[derive(Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    announced: Condvar,
}

#[derive(Default)]
struct State {
    told: VecDeque<Told>,
    /// Nothing more will come.
    ended: bool,
}

impl State {
    fn take(&mut self) -> Option<Option<VecDeque<Told>>> {
        if self.told.is_empty() {
            return self.ended.then_some(None);
        }
        Some(Some(std::mem::take(&mut self.told)))
    }
}

impl Inbox {
    /// Leaves something to be taken when it is announced, if not before.
    pub(crate) fn push(&self, told: Told) {
        self.state().told.push_back(told);
    }

    /// Wakes Python for what was left. To be called when what came together is there: a thread that is woken for the first
    /// of it runs at once, and is woken again for the next.
    pub(crate) fn announce(&self) {
        self.announced.notify_one();
    }

    /// The link has ended.
    pub(crate) fn end(&self) {
        self.state().ended = true;
        self.announce();
    }

    /// Everything that is there: `None` while there is nothing, `Some(None)` when nothing will come any more.
    pub(super) fn take(&self) -> Option<Option<VecDeque<Told>>> {
        self.state().take()
    }

    /// Waits until something is there: all of it, or `None` when nothing will come any more.
    pub(super) fn wait(&self) -> Option<VecDeque<Told>> {
        let mut state = self.state();
        loop {
            if let Some(told) = state.take() {
                return told;
            }
            state = self.announced.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One thing that was told, as a tuple that begins with what it is.
pub(super) fn tuple<'py>(py: Python<'py>, told: &Told) -> PyResult<Bound<'py, PyTuple>> {
    match told {
        Told::Engines { phase, reason, engines, .. } => {
            let engine =
                |one: &EngineInfo| (one.hello.rank, one.hello.host.clone(), one.pid, one.died.is_none());
            let engines: Vec<_> = engines.iter().map(engine).collect();
            ("engines", phase, reason, engines).into_pyobject(py)
        }
        Told::Report { name, rank, event } => report(py, name, *rank, event),
        Told::Lost { name, rank, why, lives } => ("lost", name, *rank, why, *lives).into_pyobject(py),
        Told::Refused { name, ename, why } => ("refused", name, ename, why).into_pyobject(py),
        Told::Over { name } => ("over", name).into_pyobject(py),
        Told::Answer { ask, answer: Ok(json) } => ("answer", *ask, PyBytes::new(py, json)).into_pyobject(py),
        Told::Answer { ask, answer: Err(raised) } => {
            ("failed", *ask, &raised.ename, &raised.evalue).into_pyobject(py)
        }
    }
}

fn report<'py>(py: Python<'py>, name: &str, rank: Rank, event: &Event) -> PyResult<Bound<'py, PyTuple>> {
    let bytes = |json: &Buffer| PyBytes::new(py, json);
    match event {
        Event::Stream { name: stream, text } => {
            ("stream", name, rank, stream.as_str(), text).into_pyobject(py)
        }
        Event::Publish { msg_type, content, metadata, buffers } => {
            let buffers = PyList::new(py, buffers.iter().map(bytes))?;
            ("publish", name, rank, msg_type, bytes(content), bytes(metadata), buffers).into_pyobject(py)
        }
        Event::Result { count, content } => ("result", name, rank, *count, bytes(content)).into_pyobject(py),
        Event::Usage { cpu, peak } => ("usage", name, rank, cpu, peak).into_pyobject(py),
        Event::Payload { content } => ("payload", name, rank, bytes(content)).into_pyobject(py),
        Event::Value { payload } => value(py, "value", name, rank, payload),
        Event::Data { payload } => value(py, "data", name, rank, payload),
        // A kernel puts it to the person at its notebook; no other client is told.
        Event::Ask { prompt, .. } => ("ask", name, rank, prompt).into_pyobject(py),
        Event::Done { outcome, count, started, completed } => {
            let outcome = match outcome {
                Outcome::Ok => "ok".into_pyobject(py)?.into_any(),
                Outcome::Aborted => "aborted".into_pyobject(py)?.into_any(),
                Outcome::Error(raised) => {
                    (&raised.ename, &raised.evalue, &raised.traceback).into_pyobject(py)?.into_any()
                }
            };
            ("done", name, rank, outcome, *count, *started, *completed).into_pyobject(py)
        }
    }
}

fn value<'py>(
    py: Python<'py>,
    kind: &str,
    name: &str,
    rank: Rank,
    payload: &Payload,
) -> PyResult<Bound<'py, PyTuple>> {
    let (pickle, buffers) = payload::to_python(py, payload)?;
    (kind, name, rank, pickle, buffers).into_pyobject(py)
}
