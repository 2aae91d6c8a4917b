//! What a worker's threads share: the ways to the kernel.
//!
//! **Invariant**: reports of one rank take MPI until that way fails or the kernel leaves it, and the lifeline from
//! then on, so that they cannot overtake each other on two ways.

use std::collections::BTreeSet;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use fabric::comm::Outbox;
use fabric::frame::{self, FrameError};
use fabric::message::Rank;
use fabric::message::lifeline::{FromWorker, Hello, Status};
use fabric::message::payload::Payload;
use fabric::message::report::{Event, Outcome, Report};
use fabric::message::task::{Task, TaskId};
use fabric::transport::FabricError;

use super::answers::Answers;
use super::guard::Guard;
use super::host;
use super::queue::Ledger;
use crate::ffi;

pub(super) struct Link {
    lifeline: Mutex<UnixStream>,
    /// There once MPI is up.
    outbox: OnceLock<Outbox>,
    /// MPI no longer carries reports.
    rescue: AtomicBool,
    quitting: AtomicBool,
    /// Descriptors of memory files that were reported and not yet released.
    reported: Mutex<BTreeSet<u32>>,
    pub(super) guard: Guard,
    pub(super) ledger: Ledger,
    pub(super) answers: Answers,
}

impl Link {
    /// To be made on Python's main thread.
    pub(super) fn new(lifeline: UnixStream) -> Link {
        Link {
            lifeline: Mutex::new(lifeline),
            outbox: OnceLock::new(),
            rescue: AtomicBool::new(false),
            quitting: AtomicBool::new(false),
            reported: Mutex::default(),
            guard: Guard::new(),
            ledger: Ledger::default(),
            answers: Answers::default(),
        }
    }

    pub(super) fn set_outbox(&self, outbox: Outbox) {
        // Called once, by the engine's constructor.
        let _ = self.outbox.set(outbox);
    }

    /// Reports events of `task`, all or none.
    ///
    /// # Errors
    /// Only when the events themselves cannot be sent, because they are too large.
    pub(super) fn report(&self, task: TaskId, events: Vec<Event>) -> Result<(), FabricError> {
        let reports: Vec<Report> = events.into_iter().map(|event| Report { task, event }).collect();
        if let (false, Some(outbox)) = (self.is_rescue(), self.outbox.get()) {
            match outbox.report_all(&reports) {
                Ok(()) => {
                    if outbox.carries() {
                        self.close_own(&reports);
                    }
                    return Ok(());
                }
                Err(error @ (FabricError::TooLong { .. } | FabricError::Frame(_))) => return Err(error),
                Err(_broken) => self.begin_rescue(),
            }
        }
        for report in reports {
            match self.send(&FromWorker::Report(report)) {
                // A kernel that has gone is noticed by the lifeline's reader.
                Err(FrameError::Io(_)) | Ok(()) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reports the end of a task that never began.
    pub(super) fn aborted(&self, task: TaskId) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        self.ledger.end(task);
        let done = Event::Done { outcome: Outcome::Aborted, count: 0, started: now, completed: now };
        // It is small enough for any way there is.
        drop(self.report(task, vec![done]));
    }

    pub(super) fn hello(&self, hello: &Hello) -> Result<(), FrameError> {
        self.write(hello)
    }

    pub(super) fn send(&self, message: &FromWorker) -> Result<(), FrameError> {
        self.write(message)
    }

    /// Gives Python's main thread something to do that did not come over MPI.
    pub(super) fn give(&self, tasks: &Sender<Task>, task: Task) {
        // Nobody takes tasks from an engine that leaves.
        drop(tasks.send(task));
        if let Some(outbox) = self.outbox.get() {
            outbox.wake();
        }
    }

    /// From now on reports take the lifeline.
    pub(super) fn begin_rescue(&self) {
        self.rescue.store(true, Ordering::SeqCst);
    }

    /// These ranks have died. Without rank 0 there is no gateway, so reports take the lifeline.
    pub(super) fn lose(&self, ranks: &[Rank]) {
        if ranks.contains(&0) {
            self.begin_rescue();
        }
        if let Some(outbox) = self.outbox.get() {
            outbox.lose(ranks);
        }
    }

    /// Whether MPI is out of order.
    pub(super) fn is_rescue(&self) -> bool {
        self.rescue.load(Ordering::SeqCst)
    }

    /// From now on the kernel may have this process's memory files closed.
    pub(super) fn hand_over(&self, payload: &Payload) {
        let own = std::process::id();
        let descriptors = payload.shared().filter(|shared| shared.holder == own);
        self.reported().extend(descriptors.map(|shared| shared.descriptor));
    }

    /// The memory files of what was reported have been copied.
    fn close_own(&self, reports: &[Report]) {
        let own = std::process::id();
        let payloads = reports.iter().filter_map(|report| report.event.payload());
        let files = payloads.flat_map(Payload::shared).filter(|shared| shared.holder == own);
        let files: Vec<u32> = files.map(|shared| shared.descriptor).collect();
        self.release(&files);
    }

    /// The kernel has opened these memory files. Only what was handed over is closed.
    pub(super) fn release(&self, descriptors: &[u32]) {
        if let Some(outbox) = self.outbox.get() {
            outbox.release(descriptors);
        }
        let mut reported = self.reported();
        for descriptor in descriptors.iter().filter(|descriptor| reported.remove(descriptor)) {
            ffi::close_descriptor(descriptor.cast_signed());
        }
    }

    fn reported(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn quit(&self) {
        self.quitting.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_quitting(&self) -> bool {
        self.quitting.load(Ordering::SeqCst)
    }

    pub(super) fn status(&self) -> Status {
        let (mpi_sent, mpi_received) = self.outbox.get().map(Outbox::counters).unwrap_or_default();
        let arrived = self.outbox.get().map(Outbox::arrived).unwrap_or_default();
        let (running, resident, ended) = (self.guard.running(), host::resident(), self.ledger.ended());
        Status { running, resident, mpi_sent, mpi_received, arrived, ended }
    }

    fn write(&self, message: &impl serde::Serialize) -> Result<(), FrameError> {
        let mut lifeline = self.lifeline.lock().unwrap_or_else(PoisonError::into_inner);
        frame::write(&mut *lifeline, message)
    }
}
