//! The engine library: what runs inside a Python process of ours, be it an engine or the notebook's
//! own. One build serves every CPython from 3.11 on, and is entered through either of two doors.
//!
//! ```text
//!  embedded    executable ─ dlopen libpython, dlopen this ─► parallel_python_main ─► Py_BytesMain ─┐
//!  extension   the user's python ─ loads this as an extension module ─────────────────────────────┴► boot
//!  boot ─► parallel_python/_bootstrap.py ─► parallel_python.local.main │ parallel_python.engine.main
//! ```
//!
//! **Invariant**: no thread of ours needs the GIL to move text, tasks or reports; signals are for the
//! main thread, every other thread blocks them ([`threads`]).
//!
//! **Boundary**: no MPI in here but through [`fabric`]'s plugin, and none at all in the local process.
//! All unsafe code is in [`ffi`].

use pyo3::prelude::*;

mod capture;
mod client;
mod config;
mod descriptors;
mod dropped;
mod farewell;
mod ffi;
mod group;
mod local;
mod mapping;
mod maps;
mod nudge;
mod payload;
mod sources;
mod threads;
mod undisturbed;
mod worker;
mod zygote;

/// The extension module that Python sees.
#[pymodule]
fn _parallel_python(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("BUILD", fabric::message::BUILD)?;
    module.add("SOURCES", env!("PARALLEL_PYTHON_SOURCES"))?;
    sources::register(module)?;
    mapping::register(module)?;
    dropped::register(module)?;
    worker::register(module)?;
    zygote::register(module)?;
    client::register(module)?;
    local::register(module)
}
