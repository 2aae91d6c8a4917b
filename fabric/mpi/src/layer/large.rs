//! Functions with large counts, which not every MPICH has.

use std::ffi::{c_int, c_void};
use std::sync::OnceLock;

use mpi::ffi;

/// A function of MPI's that may not be there.
pub(super) struct Symbol {
    /// Ends with a zero.
    name: &'static str,
    found: OnceLock<usize>,
}

impl Symbol {
    pub(super) const fn new(name: &'static str) -> Symbol {
        Symbol { name, found: OnceLock::new() }
    }

    /// The function, if this MPI has it.
    pub(super) fn get(&self) -> Option<*const ()> {
        let found = *self.found.get_or_init(|| {
            // SAFETY: the name ends with a zero.
            unsafe { libc::dlsym(libc::RTLD_DEFAULT, self.name.as_ptr().cast()) }.expose_provenance()
        });
        (found != 0).then(|| std::ptr::with_exposed_provenance(found))
    }
}

/// The type of `MPI_Irecv_c`.
pub(super) type Irecv = unsafe extern "C" fn(
    *mut c_void,
    ffi::MPI_Count,
    ffi::MPI_Datatype,
    c_int,
    c_int,
    ffi::MPI_Comm,
    *mut ffi::MPI_Request,
) -> c_int;

/// MPI 4.1, 3.7.2 and 19.2.
pub(super) fn irecv() -> Option<Irecv> {
    static FOUND: Symbol = Symbol::new("PMPI_Irecv_c\0");
    // SAFETY: the function of this name has this type.
    FOUND.get().map(|found| unsafe { std::mem::transmute::<*const (), Irecv>(found) })
}

/// Makes large counts into usual ones.
pub(super) struct Narrow {
    comm: ffi::MPI_Comm,
}

impl Narrow {
    pub(super) fn new(comm: ffi::MPI_Comm) -> Narrow {
        Narrow { comm }
    }

    pub(super) fn one(&mut self, count: ffi::MPI_Count) -> Result<c_int, c_int> {
        c_int::try_from(count).map_err(|_too_large| ffi::MPI_ERR_COUNT as c_int)
    }

    /// One for each rank of the communicator. Null, as ranks other than the root may have it, stays so.
    pub(super) fn all<T: Copy + TryInto<c_int>>(&mut self, counts: *const T) -> Result<Vec<c_int>, c_int> {
        let mut size = 0;
        // SAFETY: the communicator is the caller's; the out-pointer lives.
        unsafe { ffi::PMPI_Comm_size(self.comm, &mut size) };
        if counts.is_null() {
            return Ok(vec![0; usize::try_from(size).unwrap_or_default()]);
        }
        // SAFETY: MPI asks the caller for as many as the communicator has ranks.
        let counts = unsafe { std::slice::from_raw_parts(counts, usize::try_from(size).unwrap_or_default()) };
        let narrow = |count: &T| (*count).try_into().map_err(|_too_large| ffi::MPI_ERR_COUNT as c_int);
        counts.iter().map(narrow).collect()
    }
}
