//! Ranks that have died. MPI itself does not know (4.1, 2.8): whoever waited for one would wait for ever.

use std::ffi::c_int;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use mpi::ffi;

static COUNT: AtomicU32 = AtomicU32::new(0);
static LOST: Mutex<Vec<c_int>> = Mutex::new(Vec::new());

/// A rank of the world has died.
pub(crate) fn lose(rank: u32) {
    let Ok(rank) = c_int::try_from(rank) else { return };
    let mut lost = LOST.lock().unwrap_or_else(PoisonError::into_inner);
    if !lost.contains(&rank) {
        lost.push(rank);
        COUNT.store(lost.len() as u32, Ordering::SeqCst);
    }
}

/// How many have died; 0 as long as all is well.
pub(super) fn count() -> u32 {
    COUNT.load(Ordering::Acquire)
}

/// Whether `comm` has a rank that has died.
pub(super) fn takes_part(comm: ffi::MPI_Comm) -> bool {
    let lost = LOST.lock().unwrap_or_else(PoisonError::into_inner).clone();
    between_groups(comm, |world, group| translated(world, &lost, group))
        .is_some_and(|ranks| ranks.iter().any(|rank| *rank != undefined()))
}

/// Whether the rank `peer` of `comm` has died.
pub(super) fn is(comm: ffi::MPI_Comm, peer: c_int) -> bool {
    peer >= 0
        && between_groups(comm, |world, group| translated(group, &[peer], world))
            .is_some_and(|ranks| LOST.lock().unwrap_or_else(PoisonError::into_inner).contains(&ranks[0]))
}

/// Calls `body` with the world's group and the one that `comm` speaks to.
fn between_groups<T>(
    comm: ffi::MPI_Comm,
    body: impl FnOnce(ffi::MPI_Group, ffi::MPI_Group) -> Option<T>,
) -> Option<T> {
    // SAFETY: local calls; the communicator is the caller's, out-pointers live, and both groups are freed.
    unsafe {
        let (mut inter, mut world, mut group) = (0, ffi::RSMPI_GROUP_NULL, ffi::RSMPI_GROUP_NULL);
        ok(ffi::PMPI_Comm_test_inter(comm, &mut inter))?;
        ok(ffi::PMPI_Comm_group(ffi::RSMPI_COMM_WORLD, &mut world))?;
        let found = match inter {
            0 => ffi::PMPI_Comm_group(comm, &mut group),
            _ => ffi::PMPI_Comm_remote_group(comm, &mut group),
        };
        let result = ok(found).and_then(|()| body(world, group));
        if ok(found).is_some() {
            ffi::PMPI_Group_free(&mut group);
        }
        ffi::PMPI_Group_free(&mut world);
        result
    }
}

/// MPI 4.1, 7.3.1 `MPI_Group_translate_ranks`.
fn translated(from: ffi::MPI_Group, ranks: &[c_int], to: ffi::MPI_Group) -> Option<Vec<c_int>> {
    let mut found = vec![undefined(); ranks.len()];
    let count = c_int::try_from(ranks.len()).ok()?;
    // SAFETY: both groups are valid, both arrays have `count` members; older headers lack a `const`.
    let code = unsafe {
        ffi::PMPI_Group_translate_ranks(from, count, ranks.as_ptr().cast_mut().cast(), to, found.as_mut_ptr())
    };
    ok(code)?;
    Some(found)
}

fn undefined() -> c_int {
    // SAFETY: a constant.
    unsafe { ffi::RSMPI_UNDEFINED }
}

fn ok(code: c_int) -> Option<()> {
    (code == ffi::MPI_SUCCESS as c_int).then_some(())
}
