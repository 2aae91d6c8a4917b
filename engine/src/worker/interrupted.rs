//! Signals that come while Python's main thread waits in MPI: Python's handlers run, and what they raise ends the
//! call, as with Python's own waits (PEP 475).
//!
//! An MPI call can only fail with a number, of which mpi4py makes an `MPI.Exception`. So what a handler raised is
//! kept here, and takes that exception's place when it is made; where no mpi4py is in between, Python raises it as
//! soon as it runs on.
//!
//! **Invariant**: what is kept is raised once, in the task it came in, or forgotten with it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use fabric::abi::{HANDLE, TOO_LATE};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::ffi;

/// mpi4py was prepared for an exception of ours.
static PREPARED: AtomicBool = AtomicBool::new(false);

static KEPT: Mutex<Option<PyErr>> = Mutex::new(None);

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(initialize, module)?)
}

/// Answers a waiting call (`fabric::abi::Signals`).
pub(crate) fn answer(py: Python<'_>, question: i32) -> bool {
    match question {
        HANDLE => {
            let Err(raised) = py.check_signals() else { return false };
            keep(Some(raised));
            // Without mpi4py there is nobody to prepare.
            if let Err(error) = prepare(py) {
                error.write_unraisable(py, None);
            }
            ffi::raise_soon(py);
            true
        }
        TOO_LATE => {
            ffi::raise_soon(py);
            false
        }
        _ => false,
    }
}

/// Raises what is kept, if anything is, whatever the arguments: `MPI.Exception` calls it as its initialiser.
#[pyfunction]
#[pyo3(signature = (*_arguments), name = "raise_kept")]
fn initialize(_arguments: &Bound<'_, PyTuple>) -> PyResult<()> {
    raise_kept()
}

/// Raises what is kept, if anything is.
pub(crate) fn raise_kept() -> PyResult<()> {
    keep(None).map_or(Ok(()), Err)
}

/// The task is over.
pub(super) fn forget(py: Python<'_>) {
    keep(None);
    if PREPARED.swap(false, Ordering::Relaxed)
        && let Err(error) = call(py, "over")
    {
        error.write_unraisable(py, None);
    }
}

fn prepare(py: Python<'_>) -> PyResult<()> {
    PREPARED.store(true, Ordering::Relaxed);
    call(py, "interrupted")
}

fn call(py: Python<'_>, function: &str) -> PyResult<()> {
    py.import("parallel_python.engine.waits")?.call_method0(function).map(drop)
}

fn keep(raised: Option<PyErr>) -> Option<PyErr> {
    std::mem::replace(&mut *KEPT.lock().unwrap_or_else(PoisonError::into_inner), raised)
}
