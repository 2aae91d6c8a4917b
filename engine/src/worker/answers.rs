//! Answers of the person at the notebook to what code on this engine asked (`input()`).
//!
//! **Invariant**: an answer reaches the question that it was given to, or nobody: one that comes after its
//! question was given up (by an interrupt) is dropped.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

/// What was typed, or why nobody can be asked.
pub(super) type Answer = Result<String, String>;

#[derive(Default)]
pub(super) struct Answers {
    last: AtomicU64,
    /// Questions that wait, in several threads perhaps.
    open: Mutex<BTreeMap<u64, Place>>,
}

/// Where an answer is left.
struct Place {
    answer: Option<Answer>,
    /// Readable when who waits has to look.
    bell: Arc<OwnedFd>,
}

impl Answers {
    /// Begins a question: its number.
    pub(super) fn begin(&self) -> std::io::Result<u64> {
        let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let question = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.open().insert(question, Place { answer: None, bell });
        Ok(question)
    }

    /// The answer to a question has come.
    pub(super) fn give(&self, question: u64, answer: Answer) {
        if let Some(place) = self.open().get_mut(&question) {
            place.answer = Some(answer);
            place.ring();
        }
    }

    /// Has those who wait look whether there is a signal.
    pub(super) fn look(&self) {
        self.open().values().for_each(Place::ring);
    }

    /// Waits for the answer to a question, without the GIL.
    ///
    /// # Errors
    /// What a signal's handler raised, which ends the question.
    pub(super) fn wait(&self, py: Python<'_>, question: u64) -> PyResult<Answer> {
        let found = self.watch(py, question);
        self.open().remove(&question);
        found
    }

    fn watch(&self, py: Python<'_>, question: u64) -> PyResult<Answer> {
        loop {
            py.check_signals()?;
            let bell = match self.open().get_mut(&question) {
                None => return Ok(Err("the question was taken back".to_owned())),
                Some(Place { answer: Some(answer), .. }) => return Ok(answer.clone()),
                Some(Place { bell, .. }) => Arc::clone(bell),
            };
            py.detach(|| {
                // A signal interrupts the wait; one that came just before has rung too (`look`).
                let _ = poll(&mut [PollFd::new(&bell, PollFlags::IN)], None);
                let _ = rustix::io::read(&bell, &mut [0_u8; 8]);
            });
        }
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, Place>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn ring(&self) {
        // A counter that is full has rung already.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }
}
