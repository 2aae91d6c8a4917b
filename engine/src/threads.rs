//! Threads beside Python's: they take no signals, so that every signal finds the main thread, and a
//! `KeyboardInterrupt` wakes what the user waits for.

use std::fs::File;
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};

use crate::ffi;

/// Starts a thread that blocks every signal but those of its own faults. A panic in it ends the process.
///
/// # Errors
/// When the system has no thread left.
pub(crate) fn spawn<F, R>(name: &str, body: F) -> io::Result<JoinHandle<R>>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    // A process that has lost one of these threads looks alive and is deaf or dumb.
    let body = || catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| std::process::abort());
    // The mask is inherited, so there is no moment at which the new thread could take a signal.
    ffi::with_signals_blocked(|| Builder::new().name(name.to_owned()).spawn(body))
}

/// Has panics described in `log`: standard error is a pipe that ends with the process.
pub(crate) fn log_panics(log: File) {
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("unnamed");
        // Without a log there is nobody to tell.
        let _ = writeln!(&log, "parallel-python-engine: thread `{name}`: {panic}");
    }));
}
