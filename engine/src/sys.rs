//! Every unsafe call of the executable, and the plain system calls that need a word of explanation.

use std::ffi::{CString, c_char, c_int};
use std::fs::File;
use std::os::fd::{IntoRawFd as _, RawFd};
use std::path::Path;

use anyhow::Context as _;
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW, Symbol};

/// Moves standard input to a descriptor above the standard three and puts `/dev/null` in its place, so that
/// no code of the user reads the kernel's link. The descriptor survives `exec`: the extension door needs it.
pub(crate) fn take_standard_input() -> std::io::Result<RawFd> {
    let link = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    rustix::io::fcntl_setfd(&link, rustix::io::FdFlags::empty())?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(link.into_raw_fd())
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
