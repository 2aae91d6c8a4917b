//! What is said when a call ends early. MPI knows the texts, so that mpi4py's exceptions have them; and the two
//! calls that would end every engine say what to do in their place.

use std::ffi::{CStr, c_int};

use mpi::ffi;

use super::escape;
use crate::call::check;

/// Error codes of our own (MPI 4.1, 9.5).
pub(super) struct Errors {
    pub(super) interrupted: c_int,
    pub(super) poisoned: c_int,
    pub(super) lost: c_int,
    finalize: c_int,
    abort: c_int,
}

impl Errors {
    pub(super) fn new() -> Result<Errors, String> {
        Ok(Errors {
            interrupted: code(c"interrupted")?,
            poisoned: code(
                c"interrupted earlier: a collective call of this communicator was interrupted, so its ranks no \
                longer agree which call is the next; `%engines restart` starts afresh",
            )?,
            lost: code(
                c"an engine that takes part in this has died; `%engines restart` brings all engines back",
            )?,
            finalize: code(
                c"MPI_Finalize: the engines need MPI as long as they live; `%engines stop` ends them",
            )?,
            abort: code(c"MPI_Abort: it would end every engine; `%engines restart` gives fresh ones")?,
        })
    }
}

fn code(text: &CStr) -> Result<c_int, String> {
    let (mut class, mut code) = (0, 0);
    // SAFETY: MPI is initialised, the out-pointers live, and the text is shorter than MPI_MAX_ERROR_STRING.
    unsafe {
        check("MPI_Add_error_class", ffi::PMPI_Add_error_class(&mut class))?;
        check("MPI_Add_error_code", ffi::PMPI_Add_error_code(class, &mut code))?;
        // Not written to, whatever an older header says.
        check("MPI_Add_error_string", ffi::PMPI_Add_error_string(code, text.as_ptr().cast_mut().cast()))?;
    }
    Ok(code)
}

/// Fails a call on `comm` (MPI 4.1, 9.3): calls the user's error handler, if there is one.
pub(super) fn raise(comm: ffi::MPI_Comm, code: c_int) -> c_int {
    if !escape::has_left() && handler(comm) == Handler::Own {
        // SAFETY: the communicator is the caller's.
        unsafe { ffi::PMPI_Comm_call_errhandler(comm, code) };
    }
    code
}

/// Whether a call on `comm` may fail: whoever has errors end the process is not prepared for ours.
pub(super) fn may_fail(comm: ffi::MPI_Comm) -> bool {
    handler(comm) != Handler::Fatal
}

#[derive(PartialEq)]
enum Handler {
    Returns,
    Fatal,
    Own,
}

fn handler(comm: ffi::MPI_Comm) -> Handler {
    // SAFETY: the communicator is the caller's, the out-pointer lives, and the reference that MPI gives is given
    // back.
    unsafe {
        let mut handler = ffi::RSMPI_ERRORS_RETURN;
        if ffi::PMPI_Comm_get_errhandler(comm, &mut handler) != ffi::MPI_SUCCESS as c_int {
            return Handler::Fatal;
        }
        let known = if handler == ffi::RSMPI_ERRORS_RETURN {
            Handler::Returns
        } else if handler == ffi::RSMPI_ERRORS_ARE_FATAL {
            Handler::Fatal
        } else {
            Handler::Own
        };
        ffi::PMPI_Errhandler_free(&mut handler);
        known
    }
}

/// MPI 4.1, 11.2.2.
#[unsafe(no_mangle)]
extern "C" fn MPI_Finalize() -> c_int {
    match super::STATE.get() {
        Some(state) => state.errors.finalize,
        // SAFETY: whoever calls it before us has initialised MPI.
        None => unsafe { ffi::PMPI_Finalize() },
    }
}

/// MPI 4.1, 9.7.
#[unsafe(no_mangle)]
extern "C" fn MPI_Abort(comm: ffi::MPI_Comm, code: c_int) -> c_int {
    match super::STATE.get() {
        Some(state) => state.errors.abort,
        // SAFETY: passed on.
        None => unsafe { ffi::PMPI_Abort(comm, code) },
    }
}
