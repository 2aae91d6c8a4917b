//! Calls of parallel magics out of running code, each waiting for its answer.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fabric::message::local::{Answer, Message};
use rustix::event::{EventfdFlags, eventfd};

/// The calls that wait.
#[derive(Default)]
pub(super) struct Calls {
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, Arc<Slot>>>,
}

/// Where one answer arrives.
pub(super) struct Slot {
    answer: Mutex<Option<Answered>>,
    bell: OwnedFd,
}

/// An answer, and what was to be shown if the call has that captured.
pub(super) type Answered = (Answer, Vec<Message>);

impl Calls {
    /// Opens a call: its number, and where its answer will be.
    pub(super) fn open(&self) -> std::io::Result<(u64, Arc<Slot>)> {
        let call = self.next.fetch_add(1, Ordering::Relaxed);
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let slot = Arc::new(Slot { answer: Mutex::default(), bell });
        self.waiting().insert(call, Arc::clone(&slot));
        Ok((call, slot))
    }

    /// Nobody waits for this call any more.
    pub(super) fn close(&self, call: u64) {
        self.waiting().remove(&call);
    }

    /// Hands an answer to whoever waits for it; an interrupted call waits no more.
    pub(super) fn answer(&self, call: u64, answer: Answered) {
        if let Some(slot) = self.waiting().remove(&call) {
            *slot.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
            let _ = rustix::io::write(&slot.bell, &1_u64.to_ne_bytes());
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, Arc<Slot>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    pub(super) fn take(&self) -> Option<Answered> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl AsFd for Slot {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}
