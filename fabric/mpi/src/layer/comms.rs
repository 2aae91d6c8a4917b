//! A communicator's place on the board, and the functions that make communicators.
//!
//! **Invariant**: the ranks of a communicator agree whether and where it is on the board: its rank 0 takes the place
//! and tells the others before any of them uses the communicator. Not on the board are intercommunicators and what
//! comes from functions that are not here: collectives of those are plain MPI.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use mpi::ffi;

use super::board::{NOWHERE, Place};
use super::within::within;
use super::{STATE, State, escape, gate};
use crate::call::check;

/// Where the communicators that were used last are: the handle in the upper 48 bits, the place below.
static RECENT: [AtomicU64; 16] = [const { AtomicU64::new(0) }; 16];

/// The communicator that was given an attribute last, and the attribute's value.
static ATTRIBUTE: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

/// How large the structure may be that a library keeps in an attribute, to find its communicator in it.
const STRUCTURE: usize = 64;

/// The attribute key under which a communicator has its place.
pub(super) fn keyval() -> Result<c_int, String> {
    let mut keyval = 0;
    // SAFETY: MPI is initialised, the out-pointer lives, and the callbacks are as MPI calls them.
    let code =
        unsafe { ffi::PMPI_Comm_create_keyval(Some(copied), Some(deleted), &mut keyval, ptr::null_mut()) };
    check("MPI_Comm_create_keyval", code)?;
    Ok(keyval)
}

/// Gives the world its place.
pub(super) fn attach_world(_rank: u32, size: u32) -> Result<(), String> {
    let Some(state) = STATE.get() else { return Ok(()) };
    let Some(board) = state.board.as_ref().filter(|_| size > 1) else { return Ok(()) };
    let place = board.take_first(size);
    // SAFETY: a constant.
    set(state, unsafe { ffi::RSMPI_COMM_WORLD }, place)
}

/// Where `comm` is on the board.
pub(super) fn place(state: &State, comm: ffi::MPI_Comm) -> Option<&'static Place> {
    let board = state.board.as_ref()?;
    let (key, recent) = recent(comm);
    let known = recent.load(Ordering::Relaxed);
    if known >> 16 == key && known != 0 {
        return board.place((known & 0xFFFF) as u16);
    }
    let (mut value, mut found) = (ptr::null_mut::<c_void>(), 0);
    // SAFETY: the communicator is the caller's, the out-pointers live; what is stored is no pointer.
    let code = unsafe { ffi::PMPI_Comm_get_attr(comm, state.keyval, (&raw mut value).cast(), &mut found) };
    if code != ffi::MPI_SUCCESS as c_int || found == 0 {
        return None;
    }
    let index = u16::try_from(value.addr().checked_sub(1)?).ok()?;
    recent.store(key << 16 | u64::from(index), Ordering::Relaxed);
    board.place(index)
}

/// A communicator was made by `code`, by all of its ranks: gives it its place. The code, for the caller.
fn made(code: c_int, comm: *mut ffi::MPI_Comm) -> c_int {
    if code == ffi::MPI_SUCCESS as c_int
        && let Some(state) = STATE.get()
    {
        // SAFETY: the call has succeeded, so the caller's pointer holds a communicator, or none for this rank.
        let comm = unsafe { *comm };
        // SAFETY: a constant.
        if comm != unsafe { ffi::RSMPI_COMM_NULL } {
            // A communicator without a place works.
            let _ = attach(state, comm);
        }
    }
    code
}

fn attach(state: &State, comm: ffi::MPI_Comm) -> Result<(), String> {
    let Some(board) = &state.board else { return Ok(()) };
    let (mut inter, mut size, mut rank) = (0, 0, 0);
    // SAFETY: the communicator is new and valid; out-pointers live.
    unsafe {
        check("MPI_Comm_test_inter", ffi::PMPI_Comm_test_inter(comm, &mut inter))?;
        check("MPI_Comm_size", ffi::PMPI_Comm_size(comm, &mut size))?;
        check("MPI_Comm_rank", ffi::PMPI_Comm_rank(comm, &mut rank))?;
    }
    if inter != 0 || size < 2 {
        return Ok(());
    }
    let mut place = if rank == 0 { board.take(size.cast_unsigned()) } else { NOWHERE };
    let buffer = (&raw mut place).cast();
    // SAFETY: every rank that got this communicator is here; the buffer is two bytes.
    let code = escape::enter(comm, || unsafe { ffi::PMPI_Bcast(buffer, 2, ffi::RSMPI_UINT8_T, 0, comm) });
    check("MPI_Bcast", code)?;
    if place == NOWHERE { Ok(()) } else { set(state, comm, place) }
}

fn set(state: &State, comm: ffi::MPI_Comm, place: u16) -> Result<(), String> {
    let value = ptr::without_provenance_mut::<c_void>(usize::from(place) + 1);
    // SAFETY: the communicator is valid; the value is a number.
    check("MPI_Comm_set_attr", unsafe { ffi::PMPI_Comm_set_attr(comm, state.keyval, value) })
}

/// A communicator's key, and where it is kept when it was used lately.
fn recent(comm: ffi::MPI_Comm) -> (u64, &'static AtomicU64) {
    let key = comm.0 as u64 & ((1 << 48) - 1);
    // Handles differ in their low bits, or are addresses of large structures.
    (key, &RECENT[(key ^ (key >> 9)) as usize % RECENT.len()])
}

unsafe extern "C" fn copied(
    _: ffi::MPI_Comm,
    _: c_int,
    _: *mut c_void,
    _: *mut c_void,
    _: *mut c_void,
    is_copied: *mut c_int,
) -> c_int {
    // SAFETY: MPI's pointer. A duplicate gets a place of its own.
    unsafe { *is_copied = 0 };
    ffi::MPI_SUCCESS as c_int
}

unsafe extern "C" fn deleted(comm: ffi::MPI_Comm, _: c_int, value: *mut c_void, _: *mut c_void) -> c_int {
    recent(comm).1.store(0, Ordering::Relaxed);
    if let (Some(board), Some(Ok(index))) =
        (STATE.get().and_then(|state| state.board.as_ref()), value.addr().checked_sub(1).map(u16::try_from))
    {
        board.give_back(index);
    }
    ffi::MPI_SUCCESS as c_int
}

/// MPI 4.1, 7.4.2. A library that keeps a duplicate for its own messages keeps it in an attribute: mpi4py makes the
/// reductions of objects of such messages.
#[unsafe(no_mangle)]
extern "C" fn MPI_Comm_dup(comm: ffi::MPI_Comm, new: *mut ffi::MPI_Comm) -> c_int {
    within!(MPI_Comm_dup);
    // SAFETY: the caller's arguments.
    let code = made(gate::through(comm, || unsafe { ffi::PMPI_Comm_dup(comm, new) }), new);
    let inside = new.addr().wrapping_sub(ATTRIBUTE[1].load(Ordering::Relaxed)) < STRUCTURE;
    if code == ffi::MPI_SUCCESS as c_int
        && inside
        && ATTRIBUTE[0].load(Ordering::Relaxed) == comm.0 as usize
        && let Some(state) = STATE.get()
        // SAFETY: the call has succeeded.
        && let (Some(board), Some(new), Some(owner)) = (&state.board, place(state, unsafe { *new }), place(state, comm))
    {
        board.keep_private(new, owner);
    }
    code
}

/// MPI 4.1, 7.7.2.
#[unsafe(no_mangle)]
extern "C" fn MPI_Comm_set_attr(comm: ffi::MPI_Comm, keyval: c_int, value: *mut c_void) -> c_int {
    ATTRIBUTE[0].store(comm.0 as usize, Ordering::Relaxed);
    ATTRIBUTE[1].store(value.addr(), Ordering::Relaxed);
    // SAFETY: the caller's arguments.
    unsafe { ffi::PMPI_Comm_set_attr(comm, keyval, value) }
}

/// Functions that make a communicator out of all ranks of another one.
macro_rules! makers {
    ($($name:ident = $real:ident($($argument:ident: $kind:ty),*);)*) => {$(
        /// MPI 4.1, 7.4.2 and 8.5.
        #[unsafe(no_mangle)]
        extern "C" fn $name(comm: ffi::MPI_Comm, $($argument: $kind,)* new: *mut ffi::MPI_Comm) -> c_int {
            within!($name);
            // SAFETY: the caller's arguments.
            made(gate::through(comm, || unsafe { ffi::$real(comm, $($argument,)* new) }), new)
        }
    )*};
}

makers! {
    MPI_Comm_dup_with_info = PMPI_Comm_dup_with_info(info: ffi::MPI_Info);
    MPI_Comm_split = PMPI_Comm_split(color: c_int, key: c_int);
    MPI_Comm_split_type = PMPI_Comm_split_type(kind: c_int, key: c_int, info: ffi::MPI_Info);
    MPI_Comm_create = PMPI_Comm_create(group: ffi::MPI_Group);
    MPI_Cart_create = PMPI_Cart_create(
        dimensions: c_int, sizes: *const c_int, periods: *const c_int, reorder: c_int);
    MPI_Cart_sub = PMPI_Cart_sub(remain: *const c_int);
    MPI_Graph_create = PMPI_Graph_create(
        nodes: c_int, index: *const c_int, edges: *const c_int, reorder: c_int);
    MPI_Dist_graph_create = PMPI_Dist_graph_create(
        count: c_int, nodes: *const c_int, degrees: *const c_int, targets: *const c_int,
        weights: *const c_int, info: ffi::MPI_Info, reorder: c_int);
    MPI_Dist_graph_create_adjacent = PMPI_Dist_graph_create_adjacent(
        indegree: c_int, sources: *const c_int, source_weights: *const c_int,
        outdegree: c_int, destinations: *const c_int, destination_weights: *const c_int,
        info: ffi::MPI_Info, reorder: c_int);
}
