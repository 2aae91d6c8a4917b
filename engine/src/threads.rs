//! Threads beside Python's: they take no signals, so that every signal finds the main thread, and a
//! `KeyboardInterrupt` wakes what the user waits for.

use std::io;
use std::thread::{Builder, JoinHandle};

use crate::ffi;

/// Starts a thread that blocks every signal but those of its own faults.
///
/// # Errors
/// When the system has no thread left.
pub(crate) fn spawn<F>(name: &str, body: F) -> io::Result<JoinHandle<()>>
where
    F: FnOnce() + Send + 'static,
{
    // The mask is inherited, so there is no moment at which the new thread could take a signal.
    ffi::with_signals_blocked(|| Builder::new().name(name.to_owned()).spawn(body))
}
