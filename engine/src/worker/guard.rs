//! When an interrupt may reach Python.
//!
//! **Invariant**: SIGINT is sent only between [`Guard::begin`] and [`Guard::end`] of the task that was meant, and
//! has arrived when `end` returns. One for a task that has not begun is kept until it does; one for a task that
//! is over is forgotten.

use std::sync::{Mutex, MutexGuard, PoisonError};

use fabric::message::task::TaskId;

use crate::{ffi, group};

pub(super) struct Guard {
    main: libc::pthread_t,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: Option<TaskId>,
    /// The last task whose interrupt came while it did not run. Ids are not used twice.
    early: Option<TaskId>,
}

impl Guard {
    /// To be made on Python's main thread.
    pub(super) fn new() -> Guard {
        Guard { main: ffi::this_thread(), state: Mutex::default() }
    }

    /// The task's code begins.
    pub(super) fn begin(&self, task: TaskId) {
        let mut state = self.state();
        state.running = Some(task);
        if state.early == Some(task) {
            ffi::signal_thread(self.main, libc::SIGINT);
        }
    }

    /// The task's code has ended. What was sent before has arrived: a system call's return delivers it.
    pub(super) fn end(&self) {
        self.state().running = None;
        rustix::thread::sched_yield();
    }

    /// Interrupts `task`, and the processes that it started.
    pub(super) fn interrupt(&self, task: TaskId) {
        let mut state = self.state();
        if state.running == Some(task) {
            // Under the lock, so that it is sent before `end` returns.
            ffi::signal_thread(self.main, libc::SIGINT);
            group::interrupt_children();
        } else {
            state.early = Some(task);
        }
    }

    /// The task that runs.
    pub(super) fn running(&self) -> Option<TaskId> {
        self.state().running
    }

    /// Python's main thread.
    pub(super) fn main(&self) -> libc::pthread_t {
        self.main
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
