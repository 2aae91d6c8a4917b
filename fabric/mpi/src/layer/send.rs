//! Sends (MPI 4.1, 3.2.1, 3.4).
//!
//! **Invariant**: a send that ends early was of a copy, which stays for good; one that is too large for a copy is
//! MPI's alone, and does not end early.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::mem;

use mpi::ffi;

use super::vigil::{On, Stop, Vigil};
use super::within::within;
use super::{SUCCESS, escape};

/// The most that is sent as a copy, in bytes. Copying it takes less than a message does.
const COPIED: usize = 32 << 10;

thread_local! {
    /// A buffer for copies, while none is under way.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Sends a copy by what `post` starts, if it is small enough to be one, else as `whole` does.
fn send(
    buffer: *const c_void,
    count: i64,
    datatype: ffi::MPI_Datatype,
    to: c_int,
    comm: ffi::MPI_Comm,
    post: impl FnOnce(*const c_void, &mut ffi::MPI_Request) -> c_int,
    whole: impl Fn() -> c_int + Copy,
) -> c_int {
    let mut vigil = match Vigil::begin(comm, On::Peer(to)) {
        Ok(vigil) => vigil,
        Err(code) => return code,
    };
    let Some(copy) = copy_of(buffer, count, datatype) else { return escape::enter(comm, whole) };
    // SAFETY: a constant.
    let mut request = unsafe { ffi::RSMPI_REQUEST_NULL };
    let code = post(copy.as_ptr().cast(), &mut request);
    let code = if code == SUCCESS { sent(&mut request, &mut vigil) } else { Ok(code) };
    match code {
        Ok(code) => {
            give_back(copy);
            code
        }
        Err(stop) => {
            // MPI may read it for as long as the process lives.
            mem::forget(copy);
            stop.raise(comm)
        }
    }
}

/// A copy of what is to be sent, if it is small enough.
pub(super) fn copy_of(buffer: *const c_void, count: i64, datatype: ffi::MPI_Datatype) -> Option<Vec<u8>> {
    let length = length(count, datatype).filter(|length| *length <= COPIED)?;
    let mut copy = SPARE.take();
    copy.clear();
    if length > 0 {
        // SAFETY: the caller's buffer holds so many bytes, one after the other, by `length`.
        copy.extend_from_slice(unsafe { std::slice::from_raw_parts(buffer.cast(), length) });
    }
    Some(copy)
}

/// The buffer of a copy that has been sent.
pub(super) fn give_back(copy: Vec<u8>) {
    SPARE.set(copy);
}

/// Waits for a send whose buffer is ours.
fn sent(request: &mut ffi::MPI_Request, vigil: &mut Vigil) -> Result<c_int, Stop> {
    loop {
        let mut flag = 0;
        // SAFETY: the request is active.
        let code = unsafe { ffi::PMPI_Test(request, &mut flag, ffi::RSMPI_STATUS_IGNORE) };
        if code != SUCCESS || flag != 0 {
            return Ok(code);
        }
        if let Some(stop) = vigil.pause(true) {
            return Err(stop);
        }
    }
}

/// How many bytes a buffer has, if they follow each other without gaps.
fn length(count: i64, datatype: ffi::MPI_Datatype) -> Option<usize> {
    let (mut size, mut lower, mut extent) = (0, 0, 0);
    // SAFETY: the datatype is the caller's; out-pointers live.
    unsafe {
        if ffi::PMPI_Type_size(datatype, &mut size) != SUCCESS
            || ffi::PMPI_Type_get_extent(datatype, &mut lower, &mut extent) != SUCCESS
        {
            return None;
        }
    }
    let compact = size > 0 && lower == 0 && i128::from(size) == extent as i128;
    let total = i64::from(size).checked_mul(count)?;
    // A type may be made of a gap and an overlap; only named types are sure to have neither.
    (compact && is_named(datatype)).then(|| usize::try_from(total).ok()).flatten()
}

fn is_named(datatype: ffi::MPI_Datatype) -> bool {
    let (mut integers, mut addresses, mut types, mut combiner) = (0, 0, 0, 0);
    // SAFETY: the datatype is the caller's; out-pointers live.
    let code = unsafe {
        ffi::PMPI_Type_get_envelope(datatype, &mut integers, &mut addresses, &mut types, &mut combiner)
    };
    // MPI 4.1, 5.1.13: a named type is made of nothing.
    code == SUCCESS && integers == 0 && addresses == 0 && types == 0
}

macro_rules! sends {
    ($($name:ident $whole:ident $start:ident $large:ident $whole_large:literal;)*) => {$(
        /// MPI 4.1, 3.2.1 and 3.4.
        #[unsafe(no_mangle)]
        extern "C" fn $name(
            buffer: *const c_void,
            count: c_int,
            datatype: ffi::MPI_Datatype,
            to: c_int,
            tag: c_int,
            comm: ffi::MPI_Comm,
        ) -> c_int {
            within!($name);
            // SAFETY: the caller's arguments.
            let post = |copy: *const c_void, request: &mut ffi::MPI_Request| unsafe {
                ffi::$start(copy, count, datatype, to, tag, comm, request)
            };
            // SAFETY: the caller's arguments.
            let whole = || unsafe { ffi::$whole(buffer, count, datatype, to, tag, comm) };
            send(buffer, count.into(), datatype, to, comm, post, whole)
        }

        /// MPI 4.1, 3.2.1, 3.4 and 19.2.
        #[cfg(mpich)]
        #[unsafe(no_mangle)]
        extern "C" fn $large(
            buffer: *const c_void,
            count: ffi::MPI_Count,
            datatype: ffi::MPI_Datatype,
            to: c_int,
            tag: c_int,
            comm: ffi::MPI_Comm,
        ) -> c_int {
            type Whole = unsafe extern "C" fn(
                *const c_void, ffi::MPI_Count, ffi::MPI_Datatype, c_int, c_int, ffi::MPI_Comm) -> c_int;
            static WHOLE: super::large::Symbol = super::large::Symbol::new($whole_large);
            within!($name);
            if let Ok(count) = c_int::try_from(count) {
                return $name(buffer, count, datatype, to, tag, comm);
            }
            let Some(found) = WHOLE.get() else { return ffi::MPI_ERR_COUNT as c_int };
            // SAFETY: the function of this name has this type.
            let whole = unsafe { mem::transmute::<*const (), Whole>(found) };
            // SAFETY: the caller's arguments.
            escape::enter(comm, || unsafe { whole(buffer, count, datatype, to, tag, comm) })
        }
    )*};
}

sends! {
    MPI_Send PMPI_Send PMPI_Isend MPI_Send_c "PMPI_Send_c\0";
    MPI_Ssend PMPI_Ssend PMPI_Issend MPI_Ssend_c "PMPI_Ssend_c\0";
}
