//! When an interrupt may reach Python.
//!
//! **Invariant**: SIGINT and what follows it are sent only between [`Interrupt::arm`] and [`Interrupt::disarm`], which
//! Python calls around user code. An interrupt for a request that Python has not begun yet is kept until it begins;
//! one that comes after a request's user code has ended is dropped. One that comes where Python would keep a lock for
//! ever, or drops it, comes again a little later, if the same code still runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;

use crate::group::interrupt_children;
use crate::{ffi, nudge};

pub(super) struct Interrupt {
    main: libc::pthread_t,
    state: Mutex<State>,
}

/// The handler of SIGINT while user code runs. It is no function of Python's: those are seen in tracebacks.
#[pyclass(frozen, module = "_parallel_python")]
pub(super) struct InterruptHandler {
    pub(super) interrupt: Arc<Interrupt>,
    /// Called with a frame: whether the code there would keep a lock for ever if it ended now.
    pub(super) keeps_locks: Py<PyAny>,
}

#[pymethods]
impl InterruptHandler {
    fn __call__(&self, _signum: i32, frame: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.keeps_locks.bind(frame.py()).call1((frame,))?.is_truthy()? {
            self.interrupt.again();
            return Ok(());
        }
        Err(PyKeyboardInterrupt::new_err(()))
    }
}

#[derive(Default)]
struct State {
    /// Requests of the main shell that are not finished; there is one at a time.
    open: usize,
    /// User code runs.
    armed: bool,
    /// The open request was interrupted before its code began.
    early: bool,
    /// The code of the open request has begun.
    begun: bool,
    /// How often user code has begun, so that an interrupt that is tried again finds the code that it was meant for.
    turn: u64,
}

impl State {
    /// Whether the code that began as number `turn` still runs.
    fn runs(&self, turn: u64) -> bool {
        self.armed && self.turn == turn
    }
}

impl Interrupt {
    /// To be created on Python's main thread.
    pub(super) fn new() -> Self {
        Interrupt { main: ffi::this_thread(), state: Mutex::default() }
    }

    /// A request for the main shell has come.
    pub(super) fn opened(&self) {
        let mut state = self.state();
        state.open += 1;
        (state.early, state.begun) = (false, false);
    }

    /// A request of the main shell is over.
    pub(super) fn finished(&self) {
        let mut state = self.state();
        state.open = state.open.saturating_sub(1);
        state.early = false;
    }

    /// User code begins; tells whether it is interrupted already.
    pub(super) fn arm(&self) -> bool {
        let mut state = self.state();
        (state.armed, state.begun) = (true, true);
        state.turn += 1;
        std::mem::take(&mut state.early)
    }

    /// User code has ended.
    pub(super) fn disarm(&self) {
        self.state().armed = false;
    }

    /// Raises `KeyboardInterrupt` in what runs, and interrupts the processes that it started.
    pub(super) fn deliver(self: &Arc<Self>) {
        let mut state = self.state();
        if state.armed {
            self.signal(&state);
            interrupt_children();
        } else if state.open > 0 && !state.begun {
            state.early = true;
        }
    }

    /// Interrupts what runs once more, a little later.
    pub(super) fn again(self: &Arc<Self>) {
        let (interrupt, meant) = (Arc::clone(self), self.state().turn);
        let again = move || {
            let state = interrupt.state();
            if state.runs(meant) {
                interrupt.signal(&state);
            }
        };
        if nudge::again(again).is_err() {
            // Without a thread to be had it is tried at once, and as often as it takes.
            ffi::signal_thread(self.main, libc::SIGINT);
        }
    }

    /// Signals Python: under the lock, so that the signal comes before `disarm` returns.
    fn signal(self: &Arc<Self>, locked: &MutexGuard<'_, State>) {
        ffi::signal_thread(self.main, libc::SIGINT);
        let (interrupt, meant) = (Arc::clone(self), locked.turn);
        nudge::follow(move || {
            let state = interrupt.state();
            let runs = state.runs(meant);
            if runs {
                nudge::end_wait(interrupt.main);
            }
            runs
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
