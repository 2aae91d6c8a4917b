//! Parallel magics out of running code: Python asks, the kernel has the engines run them, and Python waits.
//!
//! **Invariant**: a call that is given up is withdrawn, so that the kernel answers no one who has gone.

use fabric::message::Buffer;
use fabric::message::local::{Answer, Found, FromLocal};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

use super::super::inbox::configured;
use super::super::wait::wait_for;
use super::Link;

#[pymethods]
impl Link {
    /// Has the kernel run a parallel magic and waits for it. Returns what it was to show if that is `captured`, as pairs of
    /// header and content, and a tuple that begins with how it went: `done`,
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
        captured: bool,
    ) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyTuple>)> {
        let parent = Buffer::from(parent);
        self.ask(py, |call| FromLocal::Call { call, magic, line, cell, parent, captured })
    }

    /// Waits on for a magic whose cell has run here; the same pair.
    fn resume<'py>(
        &self,
        py: Python<'py>,
        paused: u64,
    ) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyTuple>)> {
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
}

impl Link {
    /// Asks the kernel and waits for its answer.
    fn ask<'py>(
        &self,
        py: Python<'py>,
        question: impl FnOnce(u64) -> FromLocal,
    ) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyTuple>)> {
        let (call, slot) = self.routes.calls.open()?;
        let answer = self
            .post(py, question(call))
            .and_then(|()| wait_for(py, &slot, self.main.wakeup(), || slot.take()));
        self.routes.calls.close(call);
        if answer.is_err() {
            self.post(py, FromLocal::Withdraw { call })?;
        }
        let (answer, shown) = answer?;
        let shown: Vec<_> =
            shown.iter().map(|one| (PyBytes::new(py, &one.header), PyBytes::new(py, &one.content))).collect();
        let tuple = match answer {
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
        }?;
        Ok((PyList::new(py, shown)?, tuple))
    }
}
