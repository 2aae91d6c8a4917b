//! Waits for requests (MPI 4.1, 3.7.3, 3.7.5). One that is interrupted takes back the receives and leaves the other
//! requests as they are: active, and the caller's. (What MPI may still touch is kept alive by the engine, which
//! keeps mpi4py's requests.)

use std::ffi::c_int;

use mpi::ffi;

use super::receives::Before;
use super::vigil::{On, Vigil};
use super::within::within;

/// Looks until `look` finds something or the wait ends; `look` returns MPI's code and whether it is over.
fn wait(requests: *mut ffi::MPI_Request, count: c_int, mut look: impl FnMut() -> (c_int, bool)) -> c_int {
    // SAFETY: the caller's requests, here and below.
    let before = unsafe { Before::of(requests, count) };
    // A request does not say which communicator it is of, nor who its peer is.
    // SAFETY: constants.
    let (comm, peer) = unsafe { (ffi::RSMPI_COMM_WORLD, ffi::RSMPI_ANY_SOURCE) };
    let mut vigil = match Vigil::begin(comm, On::Peer(peer)) {
        Ok(vigil) => vigil,
        Err(code) => return code,
    };
    loop {
        let (code, over) = look();
        if code != ffi::MPI_SUCCESS as c_int || over {
            // SAFETY: as above.
            unsafe { before.forget_complete(requests) };
            return code;
        }
        if let Some(stop) = vigil.pause(true) {
            // SAFETY: as above.
            unsafe { before.cancel(requests) };
            return stop.raise(comm);
        }
    }
}

/// MPI 4.1, 3.7.3.
#[unsafe(no_mangle)]
extern "C" fn MPI_Wait(request: *mut ffi::MPI_Request, status: *mut ffi::MPI_Status) -> c_int {
    within!(MPI_Wait);
    let mut flag = 0;
    // SAFETY: the caller's arguments.
    wait(request, 1, || unsafe { (ffi::PMPI_Test(request, &mut flag, status), flag != 0) })
}

/// MPI 4.1, 3.7.5.
#[unsafe(no_mangle)]
extern "C" fn MPI_Waitall(
    count: c_int,
    requests: *mut ffi::MPI_Request,
    statuses: *mut ffi::MPI_Status,
) -> c_int {
    within!(MPI_Waitall);
    let mut flag = 0;
    // SAFETY: the caller's arguments.
    wait(requests, count, || unsafe { (ffi::PMPI_Testall(count, requests, &mut flag, statuses), flag != 0) })
}

/// MPI 4.1, 3.7.5.
#[unsafe(no_mangle)]
extern "C" fn MPI_Waitany(
    count: c_int,
    requests: *mut ffi::MPI_Request,
    index: *mut c_int,
    status: *mut ffi::MPI_Status,
) -> c_int {
    within!(MPI_Waitany);
    let mut flag = 0;
    // SAFETY: the caller's arguments.
    wait(requests, count, || unsafe {
        (ffi::PMPI_Testany(count, requests, index, &mut flag, status), flag != 0)
    })
}

/// MPI 4.1, 3.7.5.
#[unsafe(no_mangle)]
extern "C" fn MPI_Waitsome(
    count: c_int,
    requests: *mut ffi::MPI_Request,
    done: *mut c_int,
    indices: *mut c_int,
    statuses: *mut ffi::MPI_Status,
) -> c_int {
    within!(MPI_Waitsome);
    // SAFETY: the caller's arguments. No active request at all counts as done (MPI_UNDEFINED).
    wait(requests, count, || unsafe {
        (ffi::PMPI_Testsome(count, requests, done, indices, statuses), *done != 0)
    })
}

/// Functions that may complete requests without waiting: the receives among them are forgotten.
macro_rules! tests {
    ($($name:ident = $real:ident($($before:ident: $kind:ty,)*; $requests:ident[$count:expr]; $($after:ident: $other:ty),*);)*) => {$(
        /// MPI 4.1, 3.7.3 and 3.7.5.
        #[unsafe(no_mangle)]
        extern "C" fn $name(
            $($before: $kind,)* $requests: *mut ffi::MPI_Request, $($after: $other),*
        ) -> c_int {
            // SAFETY: the caller's arguments.
            unsafe {
                let before = Before::of($requests, $count);
                let code = ffi::$real($($before,)* $requests, $($after),*);
                before.forget_complete($requests);
                code
            }
        }
    )*};
}

tests! {
    MPI_Test = PMPI_Test(; request[1]; flag: *mut c_int, status: *mut ffi::MPI_Status);
    MPI_Testall = PMPI_Testall(
        count: c_int,; requests[count]; flag: *mut c_int, statuses: *mut ffi::MPI_Status);
    MPI_Testany = PMPI_Testany(
        count: c_int,; requests[count]; index: *mut c_int, flag: *mut c_int, status: *mut ffi::MPI_Status);
    MPI_Testsome = PMPI_Testsome(
        count: c_int,; requests[count]; done: *mut c_int, indices: *mut c_int, statuses: *mut ffi::MPI_Status);
    MPI_Request_free = PMPI_Request_free(; request[1];);
}
