//! Where an engine waits for its tasks. While it waits it carries its own packets ([`super::baton`]), except on rank 0
//! and between nodes, where there is always something to carry.
//!
//! **Invariant**: tasks come out in the order in which they came in, whichever way they came: over MPI, or by the
//! sender that [`super::Comm::start`] was given.

use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, Mutex};

use super::Shared;
use super::pump::{Pump, lock};
use crate::message::task::Task;

/// The receiving end of the channel that [`super::Comm::start`] was given.
#[derive(Debug)]
pub struct Inbox {
    arriving: Receiver<Task>,
    shared: Arc<Shared>,
    pump: Arc<Mutex<Pump>>,
}

impl Inbox {
    pub(super) fn new(arriving: Receiver<Task>, shared: Arc<Shared>, pump: Arc<Mutex<Pump>>) -> Inbox {
        Inbox { arriving, shared, pump }
    }

    /// Waits for the next task; `None` when there will be none. To be called by one thread, which runs the tasks.
    pub fn recv(&mut self) -> Option<Task> {
        let task = if self.claim() { self.carry() } else { self.arriving.recv().ok() };
        self.let_go();
        task
    }

    /// The tasks that have arrived behind the one that runs.
    pub fn arrived(&mut self) -> Vec<Task> {
        if self.claim() {
            lock(&self.pump).look();
        }
        self.let_go();
        self.arriving.try_iter().collect()
    }

    /// Carries until a task is there.
    fn carry(&mut self) -> Option<Task> {
        let mut pump = lock(&self.pump);
        loop {
            match self.arriving.try_recv() {
                Ok(task) => return Some(task),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) if pump.turn() => {}
                Err(TryRecvError::Empty) => break,
            }
        }
        drop(pump);
        // Nothing is carried any more. What still comes is sent here by other threads.
        self.arriving.recv().ok()
    }

    fn claim(&self) -> bool {
        self.shared.engine_carries && self.shared.baton.claim()
    }

    fn let_go(&self) {
        if self.shared.engine_carries && self.shared.baton.let_go() {
            // Either the engine is back soon, or the relief comes.
            self.shared.link().looking = true;
        }
    }
}
