//! The layer between user code and MPI: it defines the blocking `MPI_` functions, so that mpi4py finds these
//! before MPI's own (`fabric::mpi` sees to the order), and calls MPI through `PMPI_` (MPI 4.1, 15.2).
//!
//! ```text
//!  user code ─► MPI_Allreduce ─► gate: every rank is here ─► PMPI_Allreduce
//!            ─► MPI_Recv ──────► PMPI_Irecv, PMPI_Test …  ─► cancelled when interrupted
//!            ─► MPI_Wait ──────► PMPI_Test …              ─► receives are cancelled when interrupted
//! ```
//!
//! | file | what it is |
//! | --- | --- |
//! | `vigil` | how a call waits, and what ends the wait: a signal, a death, a communicator that is out of step |
//! | `board` | memory of all ranks of the host: who has come to which collective |
//! | `comms` | a communicator's place on the board; the functions that make communicators |
//! | `gate` | a collective begins when all have come, so an interrupt never leaves a buffer with MPI |
//! | `collectives` | the functions that pass the gate |
//! | `within` | which function the main thread is in |
//! | `large` | functions that not every MPI has |
//! | `receive`, `send`, `exchange` | receives and probes, sends, both in one |
//! | `receives` | receives under way |
//! | `requests` | waits for requests |
//! | `lost` | ranks that have died |
//! | `escape` | the way out of a call that a death has made endless |
//! | `errors` | what is said when a call ends early; `MPI_Finalize` and `MPI_Abort` |
//!
//! **Invariant**: no call returns while MPI may still touch memory that is the caller's, unless the caller holds a
//! request for it. A call ends early only on the thread that Python runs signal handlers on, and only where the
//! communicator's errors return, as mpi4py has it: everybody else gets plain MPI.

#![allow(non_snake_case, reason = "these are MPI's names")]

mod board;
mod collectives;
mod comms;
mod errors;
mod escape;
mod exchange;
mod gate;
#[cfg(mpich)]
mod large;
mod lost;
mod receive;
mod receives;
mod requests;
mod send;
mod vigil;
mod within;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use fabric::abi::{HANDLE, Layer, Signals};
use mpi::ffi;

use board::Board;
use errors::Errors;
pub(crate) use escape::has_left;
use gate::Progress;
pub(crate) use lost::lose;
pub(crate) use within::now as within;

/// What the layer knows; there once MPI is up.
struct State {
    signals: Option<Signals>,
    /// The thread that started MPI, which is Python's main thread.
    main: libc::pthread_t,
    board: Option<Board>,
    progress: Progress,
    /// The attribute that says where on the board a communicator is.
    keyval: i32,
    errors: Errors,
    /// There are more ranks than cores: who waits makes room at once.
    crowded: bool,
}

const SUCCESS: i32 = mpi::ffi::MPI_SUCCESS as i32;

static STATE: OnceLock<State> = OnceLock::new();

/// A signal was sent to the main thread and nobody has asked Python about it since.
static SIGNALLED: AtomicBool = AtomicBool::new(false);

/// The layer begins to work, on the thread that started MPI.
///
/// # Safety
/// The board must be as `fabric::abi` says.
pub(crate) unsafe fn start(
    layer: &Layer,
    private: ffi::MPI_Comm,
    rank: u32,
    size: u32,
) -> Result<(), String> {
    // SAFETY: passed on.
    let board = unsafe { Board::new(layer.board, layer.board_length) };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let state = State {
        signals: layer.signals,
        // SAFETY: no precondition.
        main: unsafe { libc::pthread_self() },
        board,
        progress: Progress::new(private),
        keyval: comms::keyval()?,
        errors: Errors::new()?,
        crowded: size as usize > cores,
    };
    let _first = STATE.set(state);
    comms::attach_world(rank, size)
}

/// See `fabric::abi::Plugin::signalled`.
pub(crate) fn signalled() {
    SIGNALLED.store(true, Ordering::SeqCst);
    escape::interrupted();
}

impl State {
    /// Whether this is Python's main thread.
    fn is_main(&self) -> bool {
        // SAFETY: no precondition.
        unsafe { libc::pthread_equal(libc::pthread_self(), self.main) != 0 }
    }

    /// On Python's main thread: has it handle what signals have come; true when that raised.
    fn has_python_raised(&self) -> bool {
        SIGNALLED.store(false, Ordering::SeqCst);
        // SAFETY: what was sent before the flag was set arrives with the return of a system call; and the engine
        // lets itself be asked on this thread at any time.
        self.signals.is_some_and(|signals| unsafe {
            libc::sched_yield();
            signals(HANDLE) != 0
        })
    }
}
