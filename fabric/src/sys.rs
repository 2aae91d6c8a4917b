//! What this crate asks of the system in ways that Rust cannot check: signal masks and scheduling of
//! its threads. All unsafe code of the crate is here and in [`crate::mpi`].

#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::thread::JoinHandle;

use libc::{c_int, sigset_t};

/// Starts a named thread that no signal is delivered to but those a thread brings on itself, so that
/// signals meant for user code interrupt user code.
///
/// # Errors
/// What the system says when it has no thread to give.
pub fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    // The new thread inherits the mask, so there is no moment at which it could get a signal.
    let _blocked = Blocked::signals(&all_but_faults());
    std::thread::Builder::new().name(name.to_owned()).spawn(body)
}

/// Has timers of the calling thread, and of what it starts, come on time instead of up to 50 us late: cells measure
/// and poll with `time.sleep`, and a core of an engine's own saves nothing by waking up for two timers at once.
pub fn punctual() {
    // SAFETY: the call affects the calling thread only. A system that refuses it is as late as before.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) };
}

/// Asks for prompt wake-ups of the calling thread: timers on time, and a short slice, so that it
/// runs at once when a computing thread has its core. Where the kernel does not know how, nothing.
pub(crate) fn prompt() {
    punctual();
    // SAFETY: both calls affect the calling thread only; the structure lives through the call
    // and states its own size. Failure (an older kernel) changes nothing and is of no consequence.
    unsafe {
        // The call sets all attributes at once, so the niceness is given as it is.
        let nice = libc::getpriority(libc::PRIO_PROCESS, 0);
        let attributes = SchedAttr { size: SchedAttr::SIZE, nice, runtime: SLICE, ..SchedAttr::default() };
        libc::syscall(libc::SYS_sched_setattr, 0, ptr::from_ref(&attributes), 0);
    }
}

/// The slice of a thread that only passes things on, in nanoseconds.
const SLICE: u64 = 100_000;

/// Runs `write` such that a pipe without a reader is an error and never a signal.
pub(crate) fn without_sigpipe<T>(
    write: impl FnOnce() -> Result<T, rustix::io::Errno>,
) -> Result<T, rustix::io::Errno> {
    let pipe = set_of(&[libc::SIGPIPE]);
    let blocked = Blocked::signals(&pipe);
    let written = write();
    if matches!(written, Err(rustix::io::Errno::PIPE)) && !blocked.had(libc::SIGPIPE) {
        // The write left a SIGPIPE pending on this thread. It is taken here, before the mask is
        // restored; a blocked one of the caller's own stays.
        let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the set and the time live through the call, and no information is asked for.
        unsafe { libc::sigtimedwait(&pipe, ptr::null_mut(), &now) };
    }
    written
}

/// Blocks signals on the calling thread until dropped.
struct Blocked {
    before: sigset_t,
}

impl Blocked {
    fn signals(set: &sigset_t) -> Blocked {
        let mut before = MaybeUninit::<sigset_t>::uninit();
        // SAFETY: `set` is initialised, and pthread_sigmask fills `before`; with a valid first
        // argument it cannot fail.
        unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, set, before.as_mut_ptr());
            Blocked { before: before.assume_init() }
        }
    }

    fn had(&self, signal: c_int) -> bool {
        // SAFETY: `before` is an initialised set.
        unsafe { libc::sigismember(&self.before, signal) == 1 }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: `before` is the mask that this thread had.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, ptr::null_mut()) };
    }
}

fn set_of(signals: &[c_int]) -> sigset_t {
    let mut set = MaybeUninit::<sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set before anything reads it.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), *signal);
        }
        set.assume_init()
    }
}

fn all_but_faults() -> sigset_t {
    const FAULTS: [c_int; 7] =
        [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS, libc::SIGABRT];
    let mut set = MaybeUninit::<sigset_t>::uninit();
    // SAFETY: sigfillset initialises the set before anything reads it.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        for signal in FAULTS {
            libc::sigdelset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

/// `struct sched_attr` of `sched_setattr(2)`, first version.
#[repr(C)]
#[derive(Default)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

impl SchedAttr {
    const SIZE: u32 = size_of::<SchedAttr>() as u32;
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Runs `body` on a thread of a process in which SIGPIPE kills, as user code may have it.
    pub(crate) fn with_default_sigpipe(body: impl FnOnce()) {
        // SAFETY: sets the disposition that a process starts with, and the former one afterwards.
        let before = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        body();
        // SAFETY: `before` came from `signal`.
        unsafe { libc::signal(libc::SIGPIPE, before) };
    }

    #[test]
    fn threads_get_no_signals_but_faults() {
        let mask = spawn("quiet", || Blocked::signals(&set_of(&[])).before).unwrap().join().unwrap();
        // SAFETY: `mask` is an initialised set.
        let blocked = |signal| unsafe { libc::sigismember(&mask, signal) == 1 };
        assert!(blocked(libc::SIGINT) && blocked(libc::SIGTERM) && blocked(libc::SIGCHLD));
        assert!(!blocked(libc::SIGSEGV) && !blocked(libc::SIGABRT));
        // SAFETY: as above.
        let own = Blocked::signals(&set_of(&[])).before;
        // SAFETY: `own` is an initialised set.
        assert!(unsafe { libc::sigismember(&own, libc::SIGINT) } == 0, "the caller's mask is restored");
    }
}
