//! What a thread sleeps on until something is complete, rung by the thread that completes it.
//!
//! A thread that is woken wants the GIL: woken by a thread that holds it, it goes back to sleep, and is woken again. So
//! what the client's thread has completed rings when that thread has let go of the GIL, before it waits for more.
//!
//! **Invariant**: a bell that has rung stays rung.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use rustix::event::{EventfdFlags, eventfd};

use crate::local::wait::{MainThread, wait_until};

/// Rung once.
#[pyclass(frozen, module = "_parallel_python")]
pub(crate) struct Bell {
    rung: AtomicBool,
    /// Readable from then on.
    event: OwnedFd,
    main: Arc<MainThread>,
}

impl Bell {
    pub(super) fn new(main: Arc<MainThread>) -> std::io::Result<Bell> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Bell { rung: AtomicBool::new(false), event, main })
    }

    /// Wakes those who wait; to be called without the GIL.
    pub(super) fn ring_now(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
        }
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

#[pymethods]
impl Bell {
    /// Wakes those who wait, in any thread.
    fn ring(&self, py: Python<'_>) {
        py.detach(|| self.ring_now());
    }

    /// Waits until it has rung, at most so many seconds; tells whether it has.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        // What is longer than the clock can tell is for ever.
        let until = timeout
            .and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok())
            .and_then(|timeout| Instant::now().checked_add(timeout));
        let rung = || self.rung.load(Ordering::Acquire).then_some(());
        Ok(wait_until(py, self, self.main.wakeup(), until, rung)?.is_some())
    }
}
