//! A task on its engine: how Python takes it, runs it, and what it may ask meanwhile.
//!
//! **Invariant**: SIGINT reaches Python within [`Engine::run`] alone, so only the task that runs can be interrupted.

use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, PoisonError};

use fabric::message::lifeline::{FromWorker, Question};
use fabric::message::report::Event;
use fabric::message::task::{TaskId, Work};
use fabric::message::{Buffer, Json};
use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

use super::super::interrupted;
use super::super::queue::Turn;
use super::Engine;
use crate::capture::Capture;
use crate::{ffi, nudge, payload};

/// What a call returned, or what it raised.
type Outcomes<'py> = (Option<Bound<'py, PyAny>>, Option<Bound<'py, PyAny>>);

#[pymethods]
impl Engine {
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
            let code = result.map_or_else(|error| exit_code(py, &error), |_| 0);
            ffi::flush_c_output();
            ffi::exit_now(code);
        }
        Ok(match result {
            Ok(value) => (Some(value), None),
            Err(error) => (None, Some(error.into_value(py).into_bound(py).into_any())),
        })
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
            // Without a thread to be had the person has to interrupt again.
            drop(nudge::again(move || link.guard.interrupt(task)));
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
}

/// The exit code of a process that ends with this: what `sys.exit` was given, or failure.
fn exit_code(py: Python<'_>, error: &PyErr) -> i32 {
    let code = error.value(py).getattr("code").ok().filter(|_| error.is_instance_of::<PySystemExit>(py));
    code.map_or(1, |code| if code.is_none() { 0 } else { code.extract().unwrap_or(1) })
}

impl Engine {
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
}
