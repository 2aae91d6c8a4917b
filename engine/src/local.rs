//! The notebook's own Python process: its side of the link to the kernel.
//!
//! ```text
//!  link ─► reader thread ─┬─► inbox of the main shell, of control, of each subshell ─► asyncio loops
//!                         ├─► stdin inbox ─► input()          ├─► calls ─► %px
//!                         └─► interrupt: SIGINT to the main thread, only while a request runs
//!  link ◄─ outgoing ◄─ capture ◄─ text          outgoing ◄─ messages, calls, Finished
//! ```
//!
//! **Invariant**: no thread here needs the GIL, and Python holds no GIL while it waits for the link. The
//! end of the link ends the process, whatever Python is doing.
//!
//! **Boundary**: what a message means is Python's business (`python/parallel_python/local/`); only what
//! routes it is read here.

use pyo3::prelude::*;

mod calls;
mod inbox;
mod interrupt;
mod link;
mod outgoing;
mod place;
mod reader;
pub(crate) mod wait;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<link::Link>()?;
    module.add_class::<inbox::Inbox>()
}
