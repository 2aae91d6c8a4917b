//! The way out of a call that can never end: all ranks had come to a collective, then one of them died in it. MPI
//! has no way to end such a call, nor to say who has failed (4.1, 2.8).
//!
//! Python's thread is taken out of MPI's frames by `siglongjmp`, back into the function of this layer that entered
//! MPI, which then fails as if it had not begun.
//!
//! **Invariant**: that happens only when a rank has died, an interrupt was asked for and the thread has been in
//! the same call for [`PATIENCE`] since; and only at a moment when the thread is in `sched_yield`, before which MPI
//! gives back its locks, or (for an MPI that never yields) in code of MPI's own libraries, so in no allocator, no
//! loader and no Python. MPI may be in the middle of something all the same: the layer and the comm thread call it
//! no more ([`has_left`]).

use std::ffi::{CStr, c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{ptr, thread};

use mpi::ffi;

use super::vigil::Stop;
use super::{STATE, lost};

/// How long a call may go on after an interrupt: a large one between living ranks is over by then.
const PATIENCE: Duration = Duration::from_millis(300);

/// How long to wait for a moment at which the thread yields.
const YIELDING: Duration = Duration::from_millis(100);

/// How long to try. The kernel says who has not stopped after a second.
const TRYING: Duration = Duration::from_millis(500);

const BETWEEN: Duration = Duration::from_millis(1);

/// Ignored by default: one that comes too late does nothing.
const SIGNAL: c_int = libc::SIGURG;

/// How the libraries are called whose code is MPI's own.
const OWN: [&str; 8] = ["libmpi", "libopen-", "libucp", "libuct", "libucs", "libfabric", "libpsm", "mca_"];

/// How often Python's thread has entered MPI or come out of it: odd while it is inside.
static ENTERED: AtomicU32 = AtomicU32::new(0);

/// The entry that is to be left, and the code at which it may be.
static UNWANTED: AtomicU32 = AtomicU32::new(0);
static MOMENTS: AtomicPtr<Vec<[usize; 2]>> = AtomicPtr::new(ptr::null_mut());

/// Somebody sees to it.
static TRIED: AtomicBool = AtomicBool::new(false);

static LEFT: AtomicBool = AtomicBool::new(false);

unsafe extern "C" {
    fn parallel_python_enter(call: unsafe extern "C" fn(*mut c_void), what: *mut c_void) -> c_int;
    fn parallel_python_leave() -> !;
}

/// Whether MPI was left in the middle of a call: then it is not to be called.
pub(crate) fn has_left() -> bool {
    LEFT.load(Ordering::Relaxed)
}

/// Calls MPI, which may never answer. Nothing in `call` is cleaned up when it is left, so it owns nothing.
pub(super) fn enter<F: Fn() -> c_int + Copy>(comm: ffi::MPI_Comm, call: F) -> c_int {
    /// A call and its code.
    struct What<F>(F, c_int);

    unsafe extern "C" fn run<F: Fn() -> c_int>(what: *mut c_void) {
        // SAFETY: the value below.
        let what = unsafe { &mut *what.cast::<What<F>>() };
        what.1 = (what.0)();
    }

    // A user's operation may call MPI from within MPI. There are frames of Python's in between: it is not left.
    let inside = ENTERED.load(Ordering::Relaxed) % 2 == 1;
    let Some(state) = STATE.get().filter(|state| state.is_main() && !inside) else { return call() };
    let mut what = What(call, ffi::MPI_SUCCESS as c_int);
    ENTERED.fetch_add(1, Ordering::SeqCst);
    // SAFETY: `run` is of this type; the frames above this one own nothing, by `Copy`.
    let left = unsafe { parallel_python_enter(run::<F>, (&raw mut what).cast()) } != 0;
    ENTERED.fetch_add(1, Ordering::SeqCst);
    if !left {
        return what.1;
    }
    LEFT.store(true, Ordering::SeqCst);
    let stop = if state.has_python_raised() { Stop::Interrupted } else { Stop::Lost };
    stop.raise(comm)
}

/// An interrupt was sent to Python's thread. Called by another one.
pub(super) fn interrupted() {
    let entered = ENTERED.load(Ordering::SeqCst);
    if entered.is_multiple_of(2) || lost::count() == 0 || TRIED.swap(true, Ordering::SeqCst) {
        return;
    }
    // On a thread of its own, because the caller has other messages to listen to.
    let trying = thread::Builder::new().name("escape".into()).spawn(move || {
        see_out(entered);
        TRIED.store(false, Ordering::SeqCst);
    });
    if trying.is_err() {
        TRIED.store(false, Ordering::SeqCst);
    }
}

/// Sees to it that the call that is number `entered` ends.
fn see_out(entered: u32) {
    let Some(state) = STATE.get() else { return };
    let since = Instant::now();
    let waits = |limit| {
        let waits = ENTERED.load(Ordering::SeqCst) == entered && since.elapsed() < limit;
        if waits {
            thread::sleep(BETWEEN);
        }
        waits
    };
    while waits(PATIENCE) {}
    UNWANTED.store(entered, Ordering::SeqCst);
    let Some(before) = handle(&leaving()) else { return };
    for (moments, limit) in [(yielding(), PATIENCE + YIELDING), (own_code(), PATIENCE + TRYING)] {
        // Not freed: the handler may be reading what was there before.
        MOMENTS.store(Box::leak(Box::new(moments)), Ordering::SeqCst);
        while waits(limit) {
            // SAFETY: Python's thread lives as long as the process.
            unsafe { libc::pthread_kill(state.main, SIGNAL) };
        }
    }
    UNWANTED.store(0, Ordering::SeqCst);
    handle(&before);
}

/// The signal makes the thread leave. It is not blocked meanwhile, because the handler may not return.
fn leaving() -> libc::sigaction {
    // SAFETY: plain data is valid when zeroed.
    let mut action = unsafe { std::mem::zeroed::<libc::sigaction>() };
    action.sa_sigaction = leave as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER | libc::SA_RESTART;
    action
}

/// Sets what the signal does. What it did before.
fn handle(action: &libc::sigaction) -> Option<libc::sigaction> {
    // SAFETY: plain data is valid when zeroed; the handler is the one below or was the process's own.
    unsafe {
        let mut before = std::mem::zeroed::<libc::sigaction>();
        (libc::sigaction(SIGNAL, action, &mut before) == 0).then_some(before)
    }
}

extern "C" fn leave(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    let (unwanted, moments) = (UNWANTED.load(Ordering::SeqCst), MOMENTS.load(Ordering::SeqCst));
    if moments.is_null() || unwanted == 0 || ENTERED.load(Ordering::SeqCst) != unwanted {
        return;
    }
    // SAFETY: the kernel's context of this thread; what was stored is never freed.
    let (at, moments) = unsafe { (instruction(context), &*moments) };
    if moments.iter().any(|[first, last]| (*first..*last).contains(&at)) {
        // SAFETY: this thread is within `enter`, by its number.
        unsafe { parallel_python_leave() }
    }
}

/// Where the thread was when the signal came.
unsafe fn instruction(context: *mut c_void) -> usize {
    // SAFETY: the caller's.
    let context = unsafe { &*context.cast::<libc::ucontext_t>() };
    #[cfg(target_arch = "x86_64")]
    return context.uc_mcontext.gregs[libc::REG_RIP as usize] as usize;
    #[cfg(target_arch = "aarch64")]
    return context.uc_mcontext.pc as usize;
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return {
        let _ = context;
        0
    };
}

/// The code of `sched_yield`: a system call and a few instructions.
fn yielding() -> Vec<[usize; 2]> {
    // SAFETY: a symbol's name.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"sched_yield".as_ptr()) }.addr();
    vec![[address, address + 32]]
}

/// The code of `sched_yield` and of MPI's own libraries.
fn own_code() -> Vec<[usize; 2]> {
    unsafe extern "C" fn add(info: *mut libc::dl_phdr_info, _: usize, found: *mut c_void) -> c_int {
        // SAFETY: the loader's, while it calls this; the last one is the vector below.
        let (info, found) = unsafe { (&*info, &mut *found.cast::<Vec<[usize; 2]>>()) };
        if info.dlpi_name.is_null() {
            return 0;
        }
        // SAFETY: the loader's, as above.
        let (path, headers) = unsafe {
            let headers = std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into());
            (CStr::from_ptr(info.dlpi_name).to_string_lossy(), headers)
        };
        let name = path.rsplit('/').next().unwrap_or_default();
        if OWN.iter().any(|own| name.starts_with(own)) {
            let code = headers.iter().filter(|header| header.p_flags & libc::PF_X != 0).map(|header| {
                let first = info.dlpi_addr as usize + header.p_vaddr as usize;
                [first, first + header.p_memsz as usize]
            });
            found.extend(code);
        }
        0
    }
    let mut found = yielding();
    // SAFETY: the callback is given the vector, which lives through the call.
    unsafe { libc::dl_iterate_phdr(Some(add), (&raw mut found).cast()) };
    found
}
