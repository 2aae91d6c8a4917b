//! Exchanges, a send and a receive in one (MPI 4.1, 3.10).
//!
//! **Invariant**: those of both halves: see [`receive`](super::receive) and [`send`](super::send).

use std::ffi::{c_int, c_void};
use std::mem;

use mpi::ffi;

use super::SUCCESS;
use super::receive::cancel;
use super::send::{copy_of, give_back};
use super::vigil::{On, Stop, Vigil};
use super::within::within;

/// MPI 4.1, 3.10. The two halves are started at once, so that ranks that exchange do not wait for each other.
#[unsafe(no_mangle)]
extern "C" fn MPI_Sendrecv(
    input: *const c_void,
    count: c_int,
    datatype: ffi::MPI_Datatype,
    to: c_int,
    tag: c_int,
    output: *mut c_void,
    room: c_int,
    received: ffi::MPI_Datatype,
    source: c_int,
    expected: c_int,
    comm: ffi::MPI_Comm,
    status: *mut ffi::MPI_Status,
) -> c_int {
    within!(MPI_Sendrecv);
    // SAFETY: the caller's arguments.
    let post = |buffer: *const c_void, request: &mut ffi::MPI_Request| unsafe {
        ffi::PMPI_Isend(buffer, count, datatype, to, tag, comm, request)
    };
    exchange(input, count.into(), datatype, comm, source, status, post, |request| {
        // SAFETY: the caller's arguments.
        unsafe { ffi::PMPI_Irecv(output, room, received, source, expected, comm, request) }
    })
}

/// Starts a receive and a send and waits for both.
#[expect(clippy::too_many_arguments, reason = "they are MPI's")]
fn exchange(
    input: *const c_void,
    count: i64,
    datatype: ffi::MPI_Datatype,
    comm: ffi::MPI_Comm,
    source: c_int,
    status: *mut ffi::MPI_Status,
    post: impl FnOnce(*const c_void, &mut ffi::MPI_Request) -> c_int,
    take: impl FnOnce(&mut ffi::MPI_Request) -> c_int,
) -> c_int {
    let mut vigil = match Vigil::begin(comm, On::Peer(source)) {
        Ok(vigil) => vigil,
        Err(code) => return code,
    };
    // SAFETY: a constant.
    let [mut sending, mut receiving] = unsafe { [ffi::RSMPI_REQUEST_NULL; 2] };
    let code = take(&mut receiving);
    if code != SUCCESS {
        return code;
    }
    let copy = copy_of(input, count, datatype);
    let buffer = copy.as_ref().map_or(input, |copy| copy.as_ptr().cast());
    let code = post(buffer, &mut sending);
    if code != SUCCESS {
        let _ = cancel(&mut receiving, status, Stop::Lost);
        return code;
    }
    let (mut sent, mut arrived) = (0, 0);
    loop {
        // SAFETY: the requests are active, or null when they are complete and not looked at again.
        let code = unsafe {
            let code = match arrived {
                0 => ffi::PMPI_Test(&mut receiving, &mut arrived, status),
                _ => SUCCESS,
            };
            match (code, sent) {
                (SUCCESS, 0) => ffi::PMPI_Test(&mut sending, &mut sent, ffi::RSMPI_STATUS_IGNORE),
                _ => code,
            }
        };
        if code != SUCCESS && sent == 0 {
            return leave_sending(copy, &mut sending, code);
        }
        if code != SUCCESS || (sent != 0 && arrived != 0) {
            give_back(copy.unwrap_or_default());
            return code;
        }
        let Some(stop) = vigil.pause(sent != 0 || copy.is_some()) else { continue };
        let ended = (arrived == 0).then(|| cancel(&mut receiving, status, stop)).flatten();
        let code = match ended.filter(|code| sent != 0 || *code != SUCCESS) {
            Some(code) => code,
            None => stop.raise(comm),
        };
        return if sent == 0 { leave_sending(copy, &mut sending, code) } else { code };
    }
}

/// The call ends with `code` while MPI may still read what is sent: the copy of it stays for good, the caller's own
/// memory until it has been read.
fn leave_sending(copy: Option<Vec<u8>>, sending: &mut ffi::MPI_Request, code: c_int) -> c_int {
    if copy.is_none() {
        // SAFETY: an active request.
        unsafe { ffi::PMPI_Wait(sending, ffi::RSMPI_STATUS_IGNORE) };
    }
    mem::forget(copy);
    code
}

/// MPI 4.1, 3.10 and 19.2.
#[cfg(mpich)]
#[unsafe(no_mangle)]
extern "C" fn MPI_Sendrecv_c(
    input: *const c_void,
    count: ffi::MPI_Count,
    datatype: ffi::MPI_Datatype,
    to: c_int,
    tag: c_int,
    output: *mut c_void,
    room: ffi::MPI_Count,
    received: ffi::MPI_Datatype,
    source: c_int,
    expected: c_int,
    comm: ffi::MPI_Comm,
    status: *mut ffi::MPI_Status,
) -> c_int {
    type Whole = unsafe extern "C" fn(
        *const c_void,
        ffi::MPI_Count,
        ffi::MPI_Datatype,
        c_int,
        c_int,
        *mut c_void,
        ffi::MPI_Count,
        ffi::MPI_Datatype,
        c_int,
        c_int,
        ffi::MPI_Comm,
        *mut ffi::MPI_Status,
    ) -> c_int;
    static WHOLE: super::large::Symbol = super::large::Symbol::new("PMPI_Sendrecv_c\0");
    if let (Ok(count), Ok(room)) = (c_int::try_from(count), c_int::try_from(room)) {
        return MPI_Sendrecv(
            input, count, datatype, to, tag, output, room, received, source, expected, comm, status,
        );
    }
    within!(MPI_Sendrecv);
    let Some(found) = WHOLE.get() else { return ffi::MPI_ERR_COUNT as c_int };
    // SAFETY: the function of this name has this type; the caller's arguments.
    unsafe {
        mem::transmute::<*const (), Whole>(found)(
            input, count, datatype, to, tag, output, room, received, source, expected, comm, status,
        )
    }
}
