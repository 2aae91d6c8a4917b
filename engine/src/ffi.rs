//! Every unsafe call of the engine library.

use std::ffi::{c_char, c_int};

/// Python's own `main`, with `_parallel_python` among its built-in modules: the embedded door.
///
/// # Safety
/// To be called once, from the main thread of a process in which libpython has been loaded into the
/// global scope and no interpreter runs; `argv` must hold `argc` C strings and a null pointer, all of
/// which live until the process ends.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn parallel_python_main(argc: c_int, argv: *mut *mut c_char) -> c_int {
    use crate::_parallel_python;
    pyo3::append_to_inittab!(_parallel_python);
    // SAFETY: the caller vouches for `argv`, and no interpreter has been started.
    unsafe { pyo3::ffi::Py_BytesMain(argc, argv) }
}

/// What a waiting MPI call asks when a signal has come (`fabric::abi::Signals`). The call may or may not hold the
/// GIL; the thread is Python's main one.
pub(crate) unsafe extern "C" fn signals_in_mpi(question: c_int) -> c_int {
    // Not `Python::attach`: a call of ours is on this thread's stack, from which it would conclude that the GIL is
    // held, but mpi4py has let it go.
    // SAFETY: Python runs, on this very thread; what is taken is given back, and `py` does not outlive it.
    unsafe {
        let state = pyo3::ffi::PyGILState_Ensure();
        let answer = crate::worker::interrupted::answer(pyo3::Python::assume_attached(), question);
        pyo3::ffi::PyGILState_Release(state);
        c_int::from(answer)
    }
}

/// Has Python's main thread call `raise_kept` before it runs on.
pub(crate) fn raise_soon(_py: pyo3::Python<'_>) {
    /// Returns as Python has it: -1 with an exception set.
    extern "C" fn raise(_: *mut std::ffi::c_void) -> c_int {
        pyo3::Python::attach(|py| match crate::worker::interrupted::raise_kept() {
            Ok(()) => 0,
            Err(error) => {
                error.restore(py);
                -1
            }
        })
    }
    // SAFETY: the interpreter runs, as the token says; the callback needs no argument. When the list of calls is
    // full, the exception stays until the next MPI call fails.
    unsafe { pyo3::ffi::Py_AddPendingCall(Some(raise), std::ptr::null_mut()) };
}

/// Forks as Python's `os.fork` does, whose handlers run. Returns the child; in the child None, where
/// [`after_fork_in_child`] is to be called unless Python is to run no more.
///
/// # Errors
/// When the system refuses.
pub(crate) fn fork_python(_py: pyo3::Python<'_>) -> std::io::Result<Option<rustix::process::Pid>> {
    // SAFETY: the GIL is held, as these calls require, by the thread that forks.
    unsafe { pyo3::ffi::PyOS_BeforeFork() };
    let forked = fork();
    if !matches!(forked, Ok(None)) {
        // SAFETY: as above.
        unsafe { pyo3::ffi::PyOS_AfterFork_Parent() };
    }
    forked
}

/// Makes Python usable in a child, or the child of a child, of [`fork_python`].
pub(crate) fn after_fork_in_child(_py: pyo3::Python<'_>) {
    // SAFETY: the GIL was held by the thread that forked, which is this process's only one.
    unsafe { pyo3::ffi::PyOS_AfterFork_Child() };
}

/// Forks: the child's process id, and None in the child. Only for a process of one thread, as no lock is held then.
///
/// # Errors
/// When the system refuses.
pub(crate) fn fork() -> std::io::Result<Option<rustix::process::Pid>> {
    // SAFETY: there is no other thread that could hold a lock, so the child may do what its parent might.
    match unsafe { libc::fork() } {
        -1 => Err(std::io::Error::last_os_error()),
        child => Ok(rustix::process::Pid::from_raw(child)),
    }
}

/// Replaces one of the words that this process was started with, as `ps` shows them, by one of the same length.
/// Whether it was found.
pub(crate) fn replace_argument(old: &[u8], new: &[u8]) -> bool {
    /// The field of `/proc/self/stat` with the address of the words (`arg_start`, proc(5)), counted after the name.
    const ADDRESS: usize = 48 - 3;
    let read = || {
        let words = std::fs::read("/proc/self/cmdline").ok()?;
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        let address: usize = stat.rsplit_once(") ")?.1.split(' ').nth(ADDRESS)?.parse().ok()?;
        let begins = words.split(|byte| *byte == 0).scan(0, |next, word| {
            let begin = *next;
            *next += word.len() + 1;
            Some((begin, word))
        });
        let (begin, _) = begins.into_iter().find(|(_, word)| *word == old)?;
        (address != 0 && old.len() == new.len()).then_some(address + begin)
    };
    let Some(place) = read() else { return false };
    // SAFETY: the system keeps a process's words in writable memory of its stack, at the address it gives, and has
    // just shown a word of this length there.
    unsafe { std::ptr::copy_nonoverlapping(new.as_ptr(), place as *mut u8, new.len()) };
    true
}

/// Signals that a thread raises by its own fault: blocking them would hide the fault from faulthandler.
const FAULTS: [c_int; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGABRT, libc::SIGTRAP];

/// Calls `body` while this thread blocks every signal but [`FAULTS`].
pub(crate) fn with_signals_blocked<R>(body: impl FnOnce() -> R) -> R {
    let mut before = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    let mut blocked = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both sets are local and initialised by the calls before they are read; the calls change
    // nothing but this thread's mask, and cannot fail with these arguments.
    unsafe {
        libc::sigfillset(blocked.as_mut_ptr());
        for fault in FAULTS {
            libc::sigdelset(blocked.as_mut_ptr(), fault);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, blocked.as_ptr(), before.as_mut_ptr());
    }
    let result = body();
    // SAFETY: `before` was written by the call above; the mask belongs to this thread alone.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    result
}

/// Writes out what C code has printed but C's library still holds.
pub(crate) fn flush_c_output() {
    unsafe extern "C" {
        static mut stdout: *mut libc::FILE;
    }
    // SAFETY: C's `stdout` is valid for the life of the process and locks itself. Other streams are
    // left alone: flushing all of them waits for locks that the user's threads may hold for long.
    unsafe { libc::fflush(stdout) };
}

/// The calling thread, for [`signal_thread`].
pub(crate) fn this_thread() -> libc::pthread_t {
    // SAFETY: the call has no precondition.
    unsafe { libc::pthread_self() }
}

/// Sends a signal to one thread, which wakes it from most of what it waits for. `thread` must be Python's main
/// thread, which lives as long as the process.
pub(crate) fn signal_thread(thread: libc::pthread_t, signal: c_int) {
    // SAFETY: the thread lives, by the condition above; a signal number that does not exist is refused.
    unsafe { libc::pthread_kill(thread, signal) };
}

/// Ends the process at once, whatever its other threads are in the middle of.
pub(crate) fn exit_now(status: c_int) -> ! {
    // SAFETY: the call has no precondition; nothing of ours needs to be written out or undone.
    unsafe { libc::_exit(status) }
}

/// Has this process ignore a signal.
pub(crate) fn ignore(signal: c_int) {
    // SAFETY: no handler is set; a signal number that does not exist is refused.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// How often an undertaker looks, and after how many milliseconds it kills.
const LOOK: libc::c_long = 10;
const PATIENCE: libc::c_long = 300;

/// Leaves a process behind that ends when the process group `group` is empty, and kills what is left of it after
/// [`PATIENCE`]. False when there is no process to be had.
pub(crate) fn leave_undertaker(group: c_int) -> bool {
    // SAFETY: a fork without its handlers, which could wait for locks of other threads. The child makes system
    // calls alone, so it needs nothing that another thread may have left half done.
    unsafe {
        match libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) {
            -1 => false,
            0 => {
                libc::setpgid(0, 0);
                // Whoever waits for the end of a pipe or a socket is not to wait for this process.
                libc::syscall(libc::SYS_close_range, 0, libc::c_uint::MAX, 0);
                let pause = libc::timespec { tv_sec: 0, tv_nsec: LOOK * 1_000_000 };
                for _ in 0..PATIENCE / LOOK {
                    if libc::kill(-group, 0) != 0 {
                        libc::_exit(0);
                    }
                    libc::nanosleep(&pause, std::ptr::null_mut());
                }
                libc::kill(-group, libc::SIGKILL);
                libc::_exit(0)
            }
            _ => true,
        }
    }
}

/// Ends the process after the exit handlers of C code.
pub(crate) fn exit(status: c_int) -> ! {
    // SAFETY: called from the main thread, once. Threads of user code may still run, as in any program that
    // returns from `main` without waiting for them.
    unsafe { libc::exit(status) }
}

/// Takes over a descriptor that this process was started with.
///
/// # Errors
/// When no such descriptor is open.
pub(crate) fn adopt_descriptor(number: c_int) -> std::io::Result<std::os::fd::OwnedFd> {
    use std::os::fd::FromRawFd as _;
    // SAFETY: the call has no precondition; it fails when the descriptor is not open.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: it is open, and whoever named it has handed it over: nothing else here uses it.
    Ok(unsafe { std::os::fd::OwnedFd::from_raw_fd(number) })
}

/// Memory of this process's own: what is written to it stays here, and it is unmapped when this is dropped.
pub(crate) struct Pages {
    address: std::ptr::NonNull<std::ffi::c_void>,
    /// In bytes.
    length: usize,
}

// SAFETY: it is an address range that no thread owns; nothing here reads or writes the bytes.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}

impl Pages {
    /// Maps memory files side by side, the given number of bytes of each, all but the last whole pages.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn map(files: &[(std::fs::File, usize)]) -> std::io::Result<Pages> {
        use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous};
        let (mode, length) =
            (ProtFlags::READ | ProtFlags::WRITE, files.iter().map(|(_, length)| length).sum());
        // SAFETY: it is new memory, wherever there is room.
        let address = unsafe {
            mmap_anonymous(std::ptr::null_mut(), length, mode, MapFlags::PRIVATE | MapFlags::NORESERVE)?
        };
        let address = std::ptr::NonNull::new(address).ok_or(std::io::ErrorKind::OutOfMemory)?;
        let (pages, mut at) = (Pages { address, length }, 0);
        for (file, length) in files {
            let place = address.as_ptr().wrapping_byte_add(at);
            // SAFETY: it replaces a part of the memory above, of which nobody knows yet. Who reads it in Python reads
            // what is there: memory files of this user's are written before they are mapped and not truncated.
            unsafe { mmap(place, *length, mode, MapFlags::PRIVATE | MapFlags::FIXED, file, 0)? };
            at += length;
        }
        Ok(pages)
    }

    pub(crate) fn address(&self) -> *mut u8 {
        self.address.as_ptr().cast()
    }

    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// Gives the memory back, some at a time: meanwhile nobody else in this process can map or unmap any.
    pub(crate) fn give_back(self) {
        /// In bytes; a third of a millisecond.
        const PIECE: usize = 4 << 20;
        for start in (0..self.length).step_by(PIECE) {
            let place = self.address.as_ptr().wrapping_byte_add(start);
            let length = PIECE.min(self.length - start);
            // SAFETY: the memory is ours alone and goes, so that nobody reads what this changes.
            let _ = unsafe { rustix::mm::madvise(place, length, rustix::mm::Advice::LinuxDontNeed) };
        }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: it was mapped here, and whoever has a view of it has what this is a part of.
        let _ = unsafe { rustix::mm::munmap(self.address.as_ptr(), self.length) };
    }
}

/// Describes an object's memory, which may be written to, as a buffer of bytes.
///
/// # Safety
/// `view` is as Python passes it to `bf_getbuffer`, and the memory is there as long as the object.
pub(crate) unsafe fn fill_buffer<T>(
    owner: &pyo3::Bound<'_, T>,
    view: *mut pyo3::ffi::Py_buffer,
    address: *mut u8,
    length: usize,
    flags: c_int,
) -> pyo3::PyResult<()> {
    let length = length.try_into()?;
    // SAFETY: the caller vouches for the view and the memory; the object is alive, and the view holds it.
    let filled =
        unsafe { pyo3::ffi::PyBuffer_FillInfo(view, owner.as_ptr(), address.cast(), length, 0, flags) };
    if filled < 0 { Err(pyo3::PyErr::fetch(owner.py())) } else { Ok(()) }
}

/// Closes a descriptor that Python has handed over.
pub(crate) fn close_descriptor(number: c_int) {
    // SAFETY: only a number is passed, of a memory file that Python made, reported and does not use any more.
    unsafe { libc::close(number) };
}

/// Puts a copy of descriptor `source` in the place of `target`.
pub(crate) fn replace_descriptor(source: c_int, target: c_int) {
    // SAFETY: only numbers are passed; whoever owns `target` finds another file there, which is the purpose.
    unsafe { libc::dup3(source, target, libc::O_CLOEXEC) };
}

/// Puts a copy of descriptor `source` in the place of `target`, for programs that are started from here too.
///
/// # Errors
/// When the system refuses.
pub(crate) fn inherit_descriptor(source: c_int, target: c_int) -> std::io::Result<()> {
    // SAFETY: only numbers are passed; nobody in this process owns `target`.
    if unsafe { libc::dup2(source, target) } < 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(())
}

/// Whether a handler for the signal is installed.
pub(crate) fn is_handled(signal: c_int) -> bool {
    let handler = handler_of(signal);
    handler != libc::SIG_DFL && handler != libc::SIG_IGN
}

fn handler_of(signal: c_int) -> libc::sighandler_t {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: nothing is installed; the call writes the current action, all of whose bit patterns are valid.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr());
        action.assume_init().sa_sigaction
    }
}

extern "C" fn nothing(_: c_int) {}

/// From now on this signal does nothing but end a system call that waits.
pub(crate) fn end_waits_by(signal: c_int) {
    let handler: extern "C" fn(c_int) = nothing;
    // SAFETY: plain data is valid when zeroed, and without flags calls are not restarted; the handler does nothing.
    unsafe {
        let mut action = std::mem::zeroed::<libc::sigaction>();
        action.sa_sigaction = handler as libc::sighandler_t;
        libc::sigaction(signal, &action, std::ptr::null_mut());
    }
}

/// Whether it still does.
pub(crate) fn ends_waits(signal: c_int) -> bool {
    let handler: extern "C" fn(c_int) = nothing;
    handler_of(signal) == handler as libc::sighandler_t
}

/// Keeps every open descriptor above the standard three from programs that are started from here on.
pub(crate) fn close_all_on_exec() {
    for number in crate::descriptors::open().into_iter().filter(|number| *number > 2) {
        // SAFETY: only a number is passed; one that was closed meanwhile is refused.
        unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}
