//! Receives under way, so that an interrupted wait can take them back: one that nobody waits for any more would
//! take a later message for its own.
//!
//! **Invariant**: the handle of every receive that this thread has started and not completed by one of the
//! functions in `requests` is here. A handle that got lost is one too many, never one too few.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ffi::{c_int, c_void};
use std::hash::{BuildHasherDefault, Hasher};
use std::slice;

use mpi::ffi;

thread_local! {
    static ACTIVE: RefCell<HashSet<u64, BuildHasherDefault<Spread>>> =
        const { RefCell::new(HashSet::with_hasher(BuildHasherDefault::new())) };
}

/// Handles are numbers that follow each other, or addresses.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64((*byte).into()));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23);
    }
}

fn key(request: ffi::MPI_Request) -> u64 {
    request.0 as u64
}

/// A receive was started.
fn started(code: c_int, request: *const ffi::MPI_Request) -> c_int {
    if code == ffi::MPI_SUCCESS as c_int {
        // SAFETY: the call has succeeded, so the caller's pointer holds its request.
        let request = unsafe { *request };
        ACTIVE.with_borrow_mut(|active| active.insert(key(request)));
    }
    code
}

/// The requests among `requests` that are receives of this thread, as they were before a call that may complete
/// them.
pub(super) struct Before(Vec<(usize, u64)>);

impl Before {
    /// # Safety
    /// There are `count` requests.
    pub(super) unsafe fn of(requests: *const ffi::MPI_Request, count: c_int) -> Before {
        let Ok(count @ 1..) = usize::try_from(count) else { return Before(Vec::new()) };
        ACTIVE.with_borrow(|active| {
            if active.is_empty() {
                return Before(Vec::new());
            }
            // SAFETY: passed on.
            let requests = unsafe { slice::from_raw_parts(requests, count) };
            let keys = requests.iter().map(|request| key(*request)).enumerate();
            Before(keys.filter(|(_, key)| active.contains(key)).collect())
        })
    }

    /// Forgets those that are complete: their handles have become null.
    ///
    /// # Safety
    /// As for `of`, with the same requests.
    pub(super) unsafe fn forget_complete(&self, requests: *const ffi::MPI_Request) {
        for (index, before) in &self.0 {
            // SAFETY: passed on.
            if key(unsafe { *requests.add(*index) }) != *before {
                ACTIVE.with_borrow_mut(|active| active.remove(before));
            }
        }
    }

    /// Takes back those that are not complete. Their requests stay the caller's, to be waited for or freed.
    ///
    /// # Safety
    /// As for `of`, with the same requests.
    pub(super) unsafe fn cancel(&self, requests: *mut ffi::MPI_Request) {
        for (index, before) in &self.0 {
            // SAFETY: passed on; a receive may be cancelled at any time (MPI 4.1, 3.8.4).
            unsafe {
                let request = requests.add(*index);
                if key(*request) == *before {
                    ffi::PMPI_Cancel(request);
                }
            }
        }
    }
}

/// MPI 4.1, 3.7.2.
#[unsafe(no_mangle)]
extern "C" fn MPI_Irecv(
    buffer: *mut c_void,
    count: c_int,
    datatype: ffi::MPI_Datatype,
    source: c_int,
    tag: c_int,
    comm: ffi::MPI_Comm,
    request: *mut ffi::MPI_Request,
) -> c_int {
    // SAFETY: the caller's arguments.
    started(unsafe { ffi::PMPI_Irecv(buffer, count, datatype, source, tag, comm, request) }, request)
}

/// MPI 4.1, 3.7.2 and 19.2.
#[cfg(mpich)]
#[unsafe(no_mangle)]
extern "C" fn MPI_Irecv_c(
    buffer: *mut c_void,
    count: ffi::MPI_Count,
    datatype: ffi::MPI_Datatype,
    source: c_int,
    tag: c_int,
    comm: ffi::MPI_Comm,
    request: *mut ffi::MPI_Request,
) -> c_int {
    let Ok(count) = c_int::try_from(count) else {
        let Some(start) = super::large::irecv() else { return ffi::MPI_ERR_COUNT as c_int };
        // SAFETY: the caller's arguments.
        return started(unsafe { start(buffer, count, datatype, source, tag, comm, request) }, request);
    };
    MPI_Irecv(buffer, count, datatype, source, tag, comm, request)
}
