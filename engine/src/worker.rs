//! A worker: one rank's Python, seen from Rust.
//!
//! ```text
//!  MPI ─────────┐                          ┌─► capture ─┐
//!               ├─► tasks ─► Python's main ┤            ├─► reporter ─► MPI, or the lifeline
//!  lifeline ────┘            thread        └─► events ──┘
//!     └─► interrupts, status, stacks, the end: whatever Python is doing
//! ```
//!
//! **Invariant**: Python's main thread runs one task at a time, and a signal reaches it only while a task runs
//! ([`guard`]). The kernel's end of file on the lifeline ends the process at once.
//!
//! **Who owns what**: [`engine::Engine`] owns the receiving end of the tasks, the capture and the comm thread;
//! [`link::Link`] is what the threads share.
//!
//! **Boundary**: how a cell runs is Python's business (`python/parallel_python/engine/`).

use pyo3::prelude::*;

mod answers;
mod engine;
mod guard;
mod host;
pub(crate) mod interrupted;
mod lifeline;
mod link;
mod queue;
mod stack;
mod world;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    interrupted::register(module)?;
    module.add_class::<engine::Engine>()
}
