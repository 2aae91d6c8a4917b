//! Every unsafe call of the executable, and the plain system calls that need a word of explanation.

use std::ffi::{CString, c_char, c_int};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};

use anyhow::Context as _;
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW, Symbol};
use rustix::io::FdFlags;
use rustix::process::{Pid, Signal};

/// Moves standard input to a descriptor above the standard three and puts `/dev/null` in its place, so that
/// no code of the user reads the kernel's link. No other program inherits it.
pub(crate) fn take_standard_input() -> io::Result<OwnedFd> {
    let link = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(link)
}

/// What the next program in this process would inherit.
pub(crate) fn inheritable() -> Vec<BorrowedFd<'static>> {
    let entries = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<RawFd>().ok());
    // SAFETY: only looked at; those that are closed by the time are refused.
    let open = numbers.map(|number| unsafe { BorrowedFd::borrow_raw(number) });
    open.filter(|fd| rustix::io::fcntl_getfd(fd).is_ok_and(|flags| !flags.contains(FdFlags::CLOEXEC)))
        .collect()
}

/// Takes over a descriptor that this process was started with; programs that it starts do not inherit it.
///
/// # Errors
/// When no such descriptor is open.
pub(crate) fn adopt_descriptor(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: a system call on a descriptor number; a wrong number is an error, not undefined.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and whoever named it has handed it over: nothing else here uses it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Lets the next program in this process inherit a descriptor: its number.
pub(crate) fn hand_on(fd: &OwnedFd) -> io::Result<RawFd> {
    rustix::io::fcntl_setfd(fd, FdFlags::empty())?;
    Ok(fd.as_raw_fd())
}

/// Faults end the process from here on, as they do in a `python`. Rust's own handlers look for overflows of its
/// threads' stacks and take every other fault for one that comes again at once: so they swallow a fault that
/// somebody sent with `kill`, and the one that faulthandler hands on.
fn restore_faults() {
    for fault in [libc::SIGSEGV, libc::SIGBUS] {
        // SAFETY: sets the disposition that every program starts with; no other thread exists.
        unsafe { libc::signal(fault, libc::SIG_DFL) };
    }
}

/// Opens libpython for everybody, then the engine library, and runs Python's `main`: its exit code.
pub(crate) fn python_main(
    libpython: &Path,
    library: &Path,
    arguments: Vec<CString>,
) -> anyhow::Result<c_int> {
    type Main = unsafe extern "C" fn(c_int, *mut *mut c_char) -> c_int;
    let open = |path: &Path, scope| {
        // SAFETY: the initialisers of a libpython and of our own library may run here: no thread but
        // this one exists, and neither library is ever closed.
        unsafe { Library::open(Some(path), RTLD_NOW | scope) }
            .with_context(|| format!("cannot load `{}`", path.display()))
    };
    restore_faults();
    // Extension modules resolve Python's symbols from the global scope, as they do in a `python`.
    std::mem::forget(open(libpython, RTLD_GLOBAL)?);
    let engine = std::mem::ManuallyDrop::new(open(library, RTLD_LOCAL)?);
    // SAFETY: the library exports this name with this type.
    let main: Symbol<Main> = unsafe { engine.get(b"parallel_python_main\0") }
        .with_context(|| format!("`{}` is not the engine library", library.display()))?;
    let count = c_int::try_from(arguments.len()).context("too many arguments")?;
    let mut argv: Vec<*mut c_char> = arguments.into_iter().map(CString::into_raw).collect();
    argv.push(std::ptr::null_mut());
    // Python keeps pointers into `argv` for as long as the process lives.
    let argv = Vec::leak(argv);
    // SAFETY: this is the main thread and the first call; libpython is in the global scope; `argv` holds
    // `count` strings and a null pointer, and all of it was leaked.
    Ok(unsafe { main(count, argv.as_mut_ptr()) })
}

/// Signals that are read instead of taken.
pub(crate) struct Signals(OwnedFd);

impl Signals {
    /// Blocks these signals and opens a descriptor that yields them. Programs started by [`spawn_tied`] begin
    /// with nothing blocked.
    pub(crate) fn take(signals: &[Signal]) -> io::Result<Signals> {
        let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: the set is local and initialised before it is used; the mask is this thread's, and there is
        // no other.
        let fd = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for signal in signals {
                libc::sigaddset(set.as_mut_ptr(), signal.as_raw());
            }
            libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
            libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else's.
        Ok(Signals(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The signals that have come since the last time.
    pub(crate) fn read(&self) -> Vec<i32> {
        /// `sizeof(struct signalfd_siginfo)`; its first member is the signal's number.
        const RECORD: usize = 128;
        let (mut bytes, mut signals) = ([0_u8; 16 * RECORD], Vec::new());
        while let Ok(count @ RECORD..) = rustix::io::read(&self.0, &mut bytes) {
            let records = bytes[..count].chunks_exact(RECORD);
            signals.extend(
                records.map(|record| i32::from_ne_bytes([record[0], record[1], record[2], record[3]])),
            );
        }
        signals
    }
}

impl std::os::fd::AsFd for Signals {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Starts a program that gets `signal` when this process ends, however it ends, and has no signal blocked.
///
/// To be called from a process with one thread only: the signal comes when the *thread* that started ends.
pub(crate) fn spawn_tied(command: &mut Command, signal: Signal) -> io::Result<Child> {
    let parent = rustix::process::getpid();
    let tie = move || {
        rustix::process::set_parent_process_death_signal(Some(signal))?;
        unblock_signals();
        // The parent may have ended before the line above.
        if rustix::process::getppid() != Some(parent) {
            return Err(io::Error::other("the process that was starting it has ended"));
        }
        Ok(())
    };
    // SAFETY: between fork and exec only system calls are made; the error is made from a static text,
    // after which the child ends, and this process has one thread, so no lock is held.
    unsafe { command.pre_exec(tie) };
    command.spawn()
}

/// Undoes [`Signals::take`] in a child: what is blocked would stay so in the next program.
fn unblock_signals() {
    let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is local and initialised before it is used; the mask is this thread's.
    unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
    }
}

/// Lets a program inherit a descriptor that other programs do not.
pub(crate) fn pass(command: &mut Command, fd: &OwnedFd) -> RawFd {
    let fd = fd.as_raw_fd();
    let uncover = move || {
        // SAFETY: a system call on a descriptor number; a wrong number is an error, not undefined.
        if unsafe { libc::fcntl(fd, libc::F_SETFD, 0) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    };
    // SAFETY: as above: one system call.
    unsafe { command.pre_exec(uncover) };
    fd
}

/// Sends a signal by its number, which the system refuses if there is none such.
pub(crate) fn signal_process(pid: Pid, signal: c_int) {
    // SAFETY: only numbers are passed.
    unsafe { libc::kill(pid.as_raw_nonzero().get(), signal) };
}

/// A child's process id, as rustix has it.
pub(crate) fn pid_of(child: &Child) -> Option<Pid> {
    Pid::from_raw(child.id().cast_signed())
}
