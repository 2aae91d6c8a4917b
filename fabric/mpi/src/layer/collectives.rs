//! The collectives that pass the gate (MPI 4.1, 6): each is one line, in MPI's order of arguments.
//!
//! MPICH has each of them a second time, with large counts (`MPI_Bcast_c`), and mpi4py prefers those where they are
//! defined. An older MPICH has none; then the counts go into the usual functions, if they fit.

use std::ffi::{c_int, c_void};

use mpi::ffi;

use super::within::within;
use super::{escape, gate};

/// What the arguments are, with counts of one width and displacements of another.
macro_rules! kind {
    (input, $count:ty, $place:ty) => { *const c_void };
    (output, $count:ty, $place:ty) => { *mut c_void };
    (count, $count:ty, $place:ty) => { $count };
    (counts, $count:ty, $place:ty) => { *const $count };
    (places, $count:ty, $place:ty) => { *const $place };
    (datatype, $count:ty, $place:ty) => { ffi::MPI_Datatype };
    (datatypes, $count:ty, $place:ty) => { *const ffi::MPI_Datatype };
    (op, $count:ty, $place:ty) => { ffi::MPI_Op };
    (root, $count:ty, $place:ty) => { c_int };
}

macro_rules! collectives {
    ($($name:ident $real:ident $large:ident $real_large:literal ($($argument:ident: $kind:tt),*);)*) => {$(
        /// MPI 4.1, 6.
        #[unsafe(no_mangle)]
        extern "C" fn $name($($argument: kind!($kind, c_int, c_int),)* comm: ffi::MPI_Comm) -> c_int {
            within!($name);
            // SAFETY: the caller's arguments.
            gate::through(comm, || unsafe { ffi::$real($($argument,)* comm) })
        }

        /// MPI 4.1, 6 and 19.2.
        #[cfg(mpich)]
        #[unsafe(no_mangle)]
        extern "C" fn $large(
            $($argument: kind!($kind, ffi::MPI_Count, ffi::MPI_Aint),)* comm: ffi::MPI_Comm
        ) -> c_int {
            type Real = unsafe extern "C" fn(
                $(kind!($kind, ffi::MPI_Count, ffi::MPI_Aint),)* ffi::MPI_Comm) -> c_int;
            static FOUND: super::large::Symbol = super::large::Symbol::new($real_large);
            within!($name);
            if let Err(code) = gate::pass(comm) {
                return code;
            }
            if let Some(found) = FOUND.get() {
                // SAFETY: the function of this name has this type.
                let real = unsafe { std::mem::transmute::<*const (), Real>(found) };
                // SAFETY: the caller's arguments.
                return escape::enter(comm, || unsafe { real($($argument,)* comm) });
            }
            let mut ranks = super::large::Narrow::new(comm);
            $(let $argument = narrow!($kind, ranks, $argument);)*
            $(let $argument = pass!($kind, $argument);)*
            // SAFETY: the caller's arguments, in arrays that live through the call.
            escape::enter(comm, || unsafe { ffi::$real($($argument,)* comm) })
        }
    )*};
}

/// An argument with large counts as one with usual ones.
#[cfg(mpich)]
macro_rules! narrow {
    (count, $ranks:ident, $value:ident) => {
        match $ranks.one($value) {
            Ok(count) => count,
            Err(code) => return code,
        }
    };
    (counts, $ranks:ident, $value:ident) => {
        match $ranks.all($value) {
            Ok(counts) => counts,
            Err(code) => return code,
        }
    };
    (places, $ranks:ident, $value:ident) => {
        match $ranks.all($value) {
            Ok(counts) => counts,
            Err(code) => return code,
        }
    };
    ($kind:tt, $ranks:ident, $value:ident) => {
        $value
    };
}

#[cfg(mpich)]
macro_rules! pass {
    (counts, $value:ident) => {
        $value.as_ptr()
    };
    (places, $value:ident) => {
        $value.as_ptr()
    };
    ($kind:tt, $value:ident) => {
        $value
    };
}

collectives! {
    MPI_Bcast PMPI_Bcast MPI_Bcast_c "PMPI_Bcast_c\0"
        (buffer: output, count: count, datatype: datatype, root: root);
    MPI_Reduce PMPI_Reduce MPI_Reduce_c "PMPI_Reduce_c\0"
        (input: input, output: output, count: count, datatype: datatype, op: op, root: root);
    MPI_Allreduce PMPI_Allreduce MPI_Allreduce_c "PMPI_Allreduce_c\0"
        (input: input, output: output, count: count, datatype: datatype, op: op);
    MPI_Scan PMPI_Scan MPI_Scan_c "PMPI_Scan_c\0"
        (input: input, output: output, count: count, datatype: datatype, op: op);
    MPI_Exscan PMPI_Exscan MPI_Exscan_c "PMPI_Exscan_c\0"
        (input: input, output: output, count: count, datatype: datatype, op: op);
    MPI_Reduce_scatter PMPI_Reduce_scatter MPI_Reduce_scatter_c "PMPI_Reduce_scatter_c\0"
        (input: input, output: output, counts: counts, datatype: datatype, op: op);
    MPI_Reduce_scatter_block PMPI_Reduce_scatter_block
        MPI_Reduce_scatter_block_c "PMPI_Reduce_scatter_block_c\0"
        (input: input, output: output, count: count, datatype: datatype, op: op);
    MPI_Gather PMPI_Gather MPI_Gather_c "PMPI_Gather_c\0"
        (input: input, sent: count, from: datatype, output: output, received: count, to: datatype, root: root);
    MPI_Gatherv PMPI_Gatherv MPI_Gatherv_c "PMPI_Gatherv_c\0"
        (input: input, sent: count, from: datatype,
         output: output, received: counts, at: places, to: datatype, root: root);
    MPI_Scatter PMPI_Scatter MPI_Scatter_c "PMPI_Scatter_c\0"
        (input: input, sent: count, from: datatype, output: output, received: count, to: datatype, root: root);
    MPI_Scatterv PMPI_Scatterv MPI_Scatterv_c "PMPI_Scatterv_c\0"
        (input: input, sent: counts, at: places, from: datatype,
         output: output, received: count, to: datatype, root: root);
    MPI_Allgather PMPI_Allgather MPI_Allgather_c "PMPI_Allgather_c\0"
        (input: input, sent: count, from: datatype, output: output, received: count, to: datatype);
    MPI_Allgatherv PMPI_Allgatherv MPI_Allgatherv_c "PMPI_Allgatherv_c\0"
        (input: input, sent: count, from: datatype,
         output: output, received: counts, at: places, to: datatype);
    MPI_Alltoall PMPI_Alltoall MPI_Alltoall_c "PMPI_Alltoall_c\0"
        (input: input, sent: count, from: datatype, output: output, received: count, to: datatype);
    MPI_Alltoallv PMPI_Alltoallv MPI_Alltoallv_c "PMPI_Alltoallv_c\0"
        (input: input, sent: counts, at: places, from: datatype,
         output: output, received: counts, into: places, to: datatype);
    MPI_Alltoallw PMPI_Alltoallw MPI_Alltoallw_c "PMPI_Alltoallw_c\0"
        (input: input, sent: counts, at: places, from: datatypes,
         output: output, received: counts, into: places, to: datatypes);
}

/// MPI 4.1, 6.3. The gate is a barrier.
#[unsafe(no_mangle)]
extern "C" fn MPI_Barrier(comm: ffi::MPI_Comm) -> c_int {
    within!(MPI_Barrier);
    match gate::pass(comm) {
        Err(code) => code,
        // SAFETY: the caller's argument.
        Ok(gate::Passed::Alone) => escape::enter(comm, || unsafe { ffi::PMPI_Barrier(comm) }),
        Ok(gate::Passed::Together) => ffi::MPI_SUCCESS as c_int,
    }
}

/// Functions that every rank of a communicator calls and that are collective in the making (MPI 4.1, 12.2, 14.2).
macro_rules! openings {
    ($($name:ident = $real:ident($($before:ident: $kind:ty),*; $($after:ident: $other:ty),*);)*) => {$(
        /// MPI 4.1, 12.2 and 14.2.
        #[unsafe(no_mangle)]
        extern "C" fn $name(
            $($before: $kind,)* comm: ffi::MPI_Comm, $($after: $other),*
        ) -> c_int {
            within!($name);
            // SAFETY: the caller's arguments.
            gate::through(comm, || unsafe { ffi::$real($($before,)* comm, $($after),*) })
        }
    )*};
}

openings! {
    MPI_Win_create = PMPI_Win_create(
        base: *mut c_void, size: ffi::MPI_Aint, unit: c_int, info: ffi::MPI_Info; win: *mut ffi::MPI_Win);
    MPI_Win_allocate = PMPI_Win_allocate(
        size: ffi::MPI_Aint, unit: c_int, info: ffi::MPI_Info; base: *mut c_void, win: *mut ffi::MPI_Win);
    MPI_Win_allocate_shared = PMPI_Win_allocate_shared(
        size: ffi::MPI_Aint, unit: c_int, info: ffi::MPI_Info; base: *mut c_void, win: *mut ffi::MPI_Win);
    MPI_Win_create_dynamic = PMPI_Win_create_dynamic(info: ffi::MPI_Info; win: *mut ffi::MPI_Win);
    MPI_File_open = PMPI_File_open(
        ; name: *const std::ffi::c_char, mode: c_int, info: ffi::MPI_Info, file: *mut ffi::MPI_File);
}
