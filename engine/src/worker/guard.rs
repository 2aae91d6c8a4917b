//! When an interrupt may reach Python.
//!
//! **Invariant**: SIGINT and what follows it are sent only between [`Guard::begin`] and [`Guard::end`] of the task that
//! was meant, and have arrived when `end` returns. One for a task that has not begun is kept until it does; one for a
//! task that is over is forgotten.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use fabric::message::task::TaskId;
use fabric::mpi::MpiCalls;

use crate::{ffi, group, nudge};

pub(super) struct Guard {
    main: libc::pthread_t,
    /// There once MPI is up: an MPI call that waits does not notice a signal by itself.
    mpi: OnceLock<MpiCalls>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    running: Option<TaskId>,
    /// The last task whose interrupt came while it did not run. Ids are not used twice.
    early: Option<TaskId>,
    /// The last task that was interrupted.
    interrupted: Option<TaskId>,
}

impl Guard {
    /// To be made on Python's main thread.
    pub(super) fn new() -> Guard {
        Guard { main: ffi::this_thread(), mpi: OnceLock::new(), state: Arc::default() }
    }

    /// MPI is up.
    pub(super) fn set_mpi(&self, mpi: MpiCalls) {
        // Called once, by the engine's constructor.
        let _ = self.mpi.set(mpi);
    }

    /// The task's code begins.
    pub(super) fn begin(&self, task: TaskId) {
        let mut state = self.state();
        state.running = Some(task);
        if state.early == Some(task) {
            self.send(task);
        }
    }

    /// The task's code has ended. What was sent before has arrived: a system call's return delivers it. Any will
    /// do but one that yields: other ranks may wait for this processor.
    pub(super) fn end(&self) {
        self.state().running = None;
        let _ = rustix::process::getppid();
    }

    /// Interrupts `task`, and the processes that it started.
    pub(super) fn interrupt(&self, task: TaskId) {
        let mut state = self.state();
        state.interrupted = Some(task);
        if state.running == Some(task) {
            // Under the lock, so that it is sent before `end` returns.
            self.send(task);
            group::interrupt_children();
        } else {
            state.early = Some(task);
        }
    }

    /// Whether somebody wanted `task` to end.
    pub(super) fn was_interrupted(&self, task: TaskId) -> bool {
        self.state().interrupted == Some(task)
    }

    /// The task that runs.
    pub(super) fn running(&self) -> Option<TaskId> {
        self.state().running
    }

    /// Python's main thread.
    pub(super) fn main(&self) -> libc::pthread_t {
        self.main
    }

    /// The MPI function that Python's main thread is in.
    pub(super) fn within(&self) -> Option<&'static str> {
        self.mpi.get().and_then(|mpi| mpi.within())
    }

    /// Signals Python, which runs `task`.
    fn send(&self, task: TaskId) {
        ffi::signal_thread(self.main, libc::SIGINT);
        let (main, state) = (self.main, Arc::clone(&self.state));
        nudge::follow(move || {
            let state = lock(&state);
            let runs = state.running == Some(task);
            if runs {
                nudge::end_wait(main);
            }
            runs
        });
        if let Some(mpi) = self.mpi.get() {
            mpi.signalled();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
