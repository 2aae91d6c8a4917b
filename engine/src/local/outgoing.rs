//! What goes to the kernel: whole frames, one after the other, from any thread.
//!
//! **Invariant**: a frame is written by one thread at a time, and waits for a slow kernel: there is no queue
//! that could grow. Callers from Python release the GIL first.

use std::fs::File;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

use fabric::frame::{self, FrameError};
use fabric::message::local::FromLocal;

pub(super) struct Outgoing {
    link: &'static File,
    writing: Mutex<()>,
}

impl Outgoing {
    pub(super) fn new(link: &'static File) -> Self {
        Outgoing { link, writing: Mutex::new(()) }
    }

    /// Writes one message.
    ///
    /// # Errors
    /// When the message is too large for a frame. That the kernel is gone is no error here: the reader sees
    /// it too, and ends the process.
    pub(super) fn send(&self, message: &FromLocal) -> Result<(), FrameError> {
        let frame = frame::encode(message)?;
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = { self.link }.write_all(&frame);
        Ok(())
    }
}
