//! Waiting for the kernel from within user code: without the GIL, and so that a signal ends it.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use pyo3::prelude::*;
use rustix::event::{PollFd, PollFlags, poll};

/// Waits until `found` gives something; `bell` becomes readable when that may be so, `wakeup` when a signal has
/// come. Python's signal handlers run in between, and what they raise ends the wait.
pub(super) fn wait_for<T>(
    py: Python<'_>,
    bell: &Arc<impl AsFd + Send + Sync>,
    wakeup: Option<BorrowedFd<'_>>,
    mut found: impl FnMut() -> Option<T>,
) -> PyResult<T> {
    loop {
        py.check_signals()?;
        if let Some(value) = found() {
            return Ok(value);
        }
        py.detach(|| {
            let mut fds = vec![PollFd::new(bell, PollFlags::IN)];
            fds.extend(wakeup.as_ref().map(|wakeup| PollFd::new(wakeup, PollFlags::IN)));
            // An interrupted wait is what we look for; no other error happens to descriptors of our own.
            let _ = poll(&mut fds, None);
            // A signal that came before the wait has left a byte here, so none is missed.
            if let Some(wakeup) = &wakeup {
                let _ = rustix::io::read(wakeup, &mut [0_u8; 64]);
            }
        });
    }
}
