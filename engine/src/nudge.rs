//! What follows an interrupt. Python looks for signals between two steps; one that comes after its last look and
//! before the system call that it then waits in is noticed only when that call ends. So a second signal follows, a
//! little later and a few times, that does nothing but end a wait.
//!
//! **Invariant**: it is [`SIGNAL`], which is ignored by default, and it is left alone when user code has a handler
//! of its own for it. Nothing is sent unless somebody has interrupted, and nothing to code that runs after that which
//! was meant: a call of C that it waits in would fail.

use std::io;
use std::sync::Once;
use std::thread::sleep;
use std::time::Duration;

use crate::{ffi, threads};

const SIGNAL: i32 = libc::SIGURG;

/// How long after the interrupt, each time after the one before.
const AFTER: [Duration; 3] =
    [Duration::from_millis(5), Duration::from_millis(50), Duration::from_millis(400)];

/// When an interrupt comes again that could not be taken where it came: the code there is short.
const AGAIN: Duration = Duration::from_millis(1);

/// A signal was sent to code that runs: `end_wait` is called a few times, until it says that this code has ended.
pub(crate) fn follow(end_wait: impl Fn() -> bool + Send + 'static) {
    static READY: Once = Once::new();
    READY.call_once(|| {
        if !ffi::is_handled(SIGNAL) {
            ffi::end_waits_by(SIGNAL);
        }
    });
    let nudge = move || {
        for time in AFTER {
            sleep(time);
            if !end_wait() {
                return;
            }
        }
    };
    // Without a thread to be had the first signal has to do.
    drop(threads::spawn("nudge", nudge));
}

/// Ends a system call that `thread`, which lives as long as the process, waits in.
pub(crate) fn end_wait(thread: libc::pthread_t) {
    if ffi::ends_waits(SIGNAL) {
        ffi::signal_thread(thread, SIGNAL);
    }
}

/// Calls `interrupt` a moment later, when the code that could not be interrupted is over.
///
/// # Errors
/// When there is no thread to be had: nothing will be called.
pub(crate) fn again(interrupt: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let later = || {
        sleep(AGAIN);
        interrupt();
    };
    threads::spawn("interrupt", later).map(drop)
}
