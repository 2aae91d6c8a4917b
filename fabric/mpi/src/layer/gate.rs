//! A collective begins when all ranks have come.
//!
//! While it waits, MPI has nothing of the caller's, so the wait can end at any time; once all have come, the call
//! goes to MPI as it is, and is over in no time. (MPI 4.1, 6.1: a correct program works whether or not a collective
//! synchronises.)
//!
//! **Invariant**: either all ranks enter MPI or none does.

use std::ffi::c_int;

use mpi::ffi;

use super::board::Came;
use super::vigil::{On, Stop, Vigil, too_late};
use super::{STATE, comms, escape};

/// Looks at the board before MPI is moved along: others may wait for what this rank has sent.
const BEFORE_PROGRESS: u32 = 256;
const BEFORE_PROGRESS_IN_A_CROWD: u32 = 16;

/// How a rank passed.
pub(super) enum Passed {
    /// All of the communicator's ranks are here.
    Together,
    /// The communicator has no place on the board, so nobody was waited for.
    Alone,
}

/// Waits for every rank of `comm`, then calls MPI.
pub(super) fn through<F: Fn() -> c_int + Copy>(comm: ffi::MPI_Comm, call: F) -> c_int {
    match pass(comm) {
        Ok(_) => escape::enter(comm, call),
        Err(code) => code,
    }
}

/// Waits for every rank of `comm`.
pub(super) fn pass(comm: ffi::MPI_Comm) -> Result<Passed, c_int> {
    let Some(state) = STATE.get() else { return Ok(Passed::Alone) };
    let mut vigil = Vigil::begin(comm, On::All)?;
    let (Some(place), Some(board)) = (comms::place(state, comm), &state.board) else {
        return Ok(Passed::Alone);
    };
    let Came::Early(round) = place.come() else { return Ok(Passed::Together) };
    let before = if state.crowded { BEFORE_PROGRESS_IN_A_CROWD } else { BEFORE_PROGRESS };
    let mut looks = 0_u32;
    while !place.is_complete(round) {
        looks += 1;
        if looks > before {
            state.progress.make();
        }
        let Some(stop) = vigil.pause(true) else { continue };
        if place.withdraw(round) {
            if stop == Stop::Interrupted {
                board.poison(place);
            }
            return Err(stop.raise(comm));
        }
        if stop == Stop::Interrupted {
            too_late();
        }
    }
    Ok(Passed::Together)
}

/// MPI's progress engine: what moves messages and one-sided accesses of others along while this rank waits.
pub(super) struct Progress {
    /// The plugin's own communicator.
    comm: ffi::MPI_Comm,
}

// SAFETY: a handle that stays valid while user code runs; MPI was started for several threads.
unsafe impl Send for Progress {}
// SAFETY: as above.
unsafe impl Sync for Progress {}

impl Progress {
    pub(super) fn new(comm: ffi::MPI_Comm) -> Progress {
        Progress { comm }
    }

    /// Moves MPI along once (MPI 4.1, 3.5): by a look for what never comes. A look that finds something does not, nor,
    /// with MPICH, one at `MPI_COMM_SELF`.
    fn make(&self) {
        const NEVER_SENT: c_int = 1;
        let mut found = 0;
        // SAFETY: MPI is initialised; the out-pointer lives.
        unsafe {
            let (source, status) = (ffi::RSMPI_ANY_SOURCE, ffi::RSMPI_STATUS_IGNORE);
            ffi::PMPI_Iprobe(source, NEVER_SENT, self.comm, &mut found, status);
        }
    }
}
