//! Waiting for the kernel from within user code: without the GIL, and so that a signal ends it.

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Instant;

use pyo3::prelude::*;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::ffi;

/// Python's main thread, and the descriptor that tells it of signals: both are for it alone.
pub(crate) struct MainThread {
    thread: libc::pthread_t,
    /// Where Python's signal handlers leave a byte, and where it is found.
    pipe: (OwnedFd, OwnedFd),
}

impl MainThread {
    /// To be made on it.
    pub(crate) fn new() -> std::io::Result<Arc<MainThread>> {
        let pipe = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Arc::new(MainThread { thread: ffi::this_thread(), pipe }))
    }

    /// What becomes readable when a signal has come, on the main thread.
    pub(crate) fn wakeup(&self) -> Option<BorrowedFd<'_>> {
        (ffi::this_thread() == self.thread).then(|| self.pipe.0.as_fd())
    }

    /// For `signal.set_wakeup_fd` and for the event loop that is to be woken.
    pub(crate) fn descriptors(&self) -> (RawFd, RawFd) {
        (self.pipe.1.as_raw_fd(), self.pipe.0.as_raw_fd())
    }

    /// Forgets the signals that have come.
    pub(crate) fn woken(&self) {
        let _ = rustix::io::read(&self.pipe.0, &mut [0_u8; 64]);
    }
}

/// Waits until `found` gives something; `bell` becomes readable when that may be so, `wakeup` when a signal has
/// come. Python's signal handlers run in between, and what they raise ends the wait.
pub(crate) fn wait_for<T>(
    py: Python<'_>,
    bell: &(impl AsFd + Sync),
    wakeup: Option<BorrowedFd<'_>>,
    mut found: impl FnMut() -> Option<T>,
) -> PyResult<T> {
    loop {
        if let Some(value) = wait_until(py, bell, wakeup, None, &mut found)? {
            return Ok(value);
        }
    }
}

/// As [`wait_for`], but no longer than `until`: then it gives nothing.
pub(crate) fn wait_until<T>(
    py: Python<'_>,
    bell: &(impl AsFd + Sync),
    wakeup: Option<BorrowedFd<'_>>,
    until: Option<Instant>,
    mut found: impl FnMut() -> Option<T>,
) -> PyResult<Option<T>> {
    loop {
        py.check_signals()?;
        if let Some(value) = found() {
            return Ok(Some(value));
        }
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(None);
        }
        py.detach(|| {
            let mut fds = vec![PollFd::new(bell, PollFlags::IN)];
            fds.extend(wakeup.as_ref().map(|wakeup| PollFd::new(wakeup, PollFlags::IN)));
            // Longer than the clock can tell is for ever.
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            // An interrupted wait is what we look for; no other error happens to descriptors of our own.
            let _ = poll(&mut fds, left.as_ref());
            // A signal that came before the wait has left a byte here, so none is missed.
            if let Some(wakeup) = &wakeup {
                let _ = rustix::io::read(wakeup, &mut [0_u8; 64]);
            }
        });
    }
}
