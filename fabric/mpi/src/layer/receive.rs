//! Receives and probes (MPI 4.1, 3.2.4, 3.8).
//!
//! **Invariant**: a receive that ends early was cancelled and is complete, so nothing more arrives in the caller's
//! buffer.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

use mpi::ffi;

use super::SUCCESS;
use super::vigil::{On, Stop, Vigil, too_late};
use super::within::within;

/// How long a message that a dead rank had begun may keep a receive.
const FROM_THE_DEAD: Duration = Duration::from_secs(1);

/// Receives by what `post` starts.
fn receive(
    comm: ffi::MPI_Comm,
    source: c_int,
    status: *mut ffi::MPI_Status,
    post: impl FnOnce(&mut ffi::MPI_Request) -> c_int,
) -> c_int {
    let mut vigil = match Vigil::begin(comm, On::Peer(source)) {
        Ok(vigil) => vigil,
        Err(code) => return code,
    };
    // SAFETY: a constant.
    let mut request = unsafe { ffi::RSMPI_REQUEST_NULL };
    let code = post(&mut request);
    if code != SUCCESS {
        return code;
    }
    loop {
        let mut flag = 0;
        // SAFETY: the request is active; the status is the caller's.
        let code = unsafe { ffi::PMPI_Test(&mut request, &mut flag, status) };
        if code != SUCCESS || flag != 0 {
            return code;
        }
        if let Some(stop) = vigil.pause(true) {
            return cancel(&mut request, status, stop).unwrap_or_else(|| stop.raise(comm));
        }
    }
}

/// Takes back a receive; the code of one that was complete before.
pub(super) fn cancel(
    request: &mut ffi::MPI_Request,
    status: *mut ffi::MPI_Status,
    stop: Stop,
) -> Option<c_int> {
    let since = Instant::now();
    let (mut own, mut flag, mut cancelled) = (MaybeUninit::<ffi::MPI_Status>::zeroed(), 0, 0);
    // SAFETY: the request is an active receive, which MPI lets complete after it was cancelled (4.1, 3.8.4); plain
    // data is valid when zeroed; the status is the caller's, or MPI's word for none.
    unsafe {
        ffi::PMPI_Cancel(request);
        loop {
            let code = ffi::PMPI_Test(request, &mut flag, own.as_mut_ptr());
            if flag != 0 || code != SUCCESS {
                ffi::PMPI_Test_cancelled(own.as_ptr(), &mut cancelled);
                if cancelled != 0 {
                    return None;
                }
                if status != ffi::RSMPI_STATUS_IGNORE {
                    *status = own.assume_init();
                }
                if stop == Stop::Interrupted {
                    too_late();
                }
                return Some(code);
            }
            // A message has begun to arrive. A dead rank does not go on with it.
            if stop == Stop::Lost && since.elapsed() > FROM_THE_DEAD {
                return None;
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}

/// MPI 4.1, 3.2.4.
#[unsafe(no_mangle)]
extern "C" fn MPI_Recv(
    buffer: *mut c_void,
    count: c_int,
    datatype: ffi::MPI_Datatype,
    source: c_int,
    tag: c_int,
    comm: ffi::MPI_Comm,
    status: *mut ffi::MPI_Status,
) -> c_int {
    within!(MPI_Recv);
    receive(comm, source, status, |request| {
        // SAFETY: the caller's arguments.
        unsafe { ffi::PMPI_Irecv(buffer, count, datatype, source, tag, comm, request) }
    })
}

/// MPI 4.1, 3.8.1.
#[unsafe(no_mangle)]
extern "C" fn MPI_Probe(
    source: c_int,
    tag: c_int,
    comm: ffi::MPI_Comm,
    status: *mut ffi::MPI_Status,
) -> c_int {
    within!(MPI_Probe);
    let mut flag = 0;
    probe(comm, source, || {
        // SAFETY: the caller's arguments.
        let code = unsafe { ffi::PMPI_Iprobe(source, tag, comm, &mut flag, status) };
        (code, flag != 0)
    })
}

/// MPI 4.1, 3.8.2.
#[unsafe(no_mangle)]
extern "C" fn MPI_Mprobe(
    source: c_int,
    tag: c_int,
    comm: ffi::MPI_Comm,
    message: *mut ffi::MPI_Message,
    status: *mut ffi::MPI_Status,
) -> c_int {
    within!(MPI_Mprobe);
    let mut flag = 0;
    probe(comm, source, || {
        // SAFETY: the caller's arguments.
        let code = unsafe { ffi::PMPI_Improbe(source, tag, comm, &mut flag, message, status) };
        (code, flag != 0)
    })
}

fn probe(comm: ffi::MPI_Comm, source: c_int, mut look: impl FnMut() -> (c_int, bool)) -> c_int {
    let mut vigil = match Vigil::begin(comm, On::Peer(source)) {
        Ok(vigil) => vigil,
        Err(code) => return code,
    };
    loop {
        let (code, found) = look();
        if code != SUCCESS || found {
            return code;
        }
        if let Some(stop) = vigil.pause(true) {
            return stop.raise(comm);
        }
    }
}

/// MPI 4.1, 3.2.4 and 19.2.
#[cfg(mpich)]
#[unsafe(no_mangle)]
extern "C" fn MPI_Recv_c(
    buffer: *mut c_void,
    count: ffi::MPI_Count,
    datatype: ffi::MPI_Datatype,
    source: c_int,
    tag: c_int,
    comm: ffi::MPI_Comm,
    status: *mut ffi::MPI_Status,
) -> c_int {
    if let Ok(count) = c_int::try_from(count) {
        return MPI_Recv(buffer, count, datatype, source, tag, comm, status);
    }
    within!(MPI_Recv);
    let Some(start) = super::large::irecv() else { return ffi::MPI_ERR_COUNT as c_int };
    receive(comm, source, status, |request| {
        // SAFETY: the caller's arguments.
        unsafe { start(buffer, count, datatype, source, tag, comm, request) }
    })
}
