//! When an interrupt may reach Python.
//!
//! **Invariant**: SIGINT is sent only between [`Interrupt::arm`] and [`Interrupt::disarm`], which Python calls
//! around user code. An interrupt for a request that Python has not begun yet is kept until it begins;
//! one that comes after a request's user code has ended is dropped.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::group::interrupt_children;
use crate::{ffi, nudge};

pub(super) struct Interrupt {
    main: libc::pthread_t,
    state: Mutex<State>,
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
        std::mem::take(&mut state.early)
    }

    /// User code has ended.
    pub(super) fn disarm(&self) {
        self.state().armed = false;
    }

    /// Raises `KeyboardInterrupt` in what runs, and interrupts the processes that it started.
    pub(super) fn deliver(&self) {
        let mut state = self.state();
        if state.armed {
            // Under the lock, so that the signal comes before `disarm` returns.
            ffi::signal_thread(self.main, libc::SIGINT);
            nudge::follow(self.main);
            interrupt_children();
        } else if state.open > 0 && !state.begun {
            state.early = true;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
