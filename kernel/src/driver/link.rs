//! A Unix socket that carries frames both ways: one task reads, one writes.
//!
//! **Invariant**: what is read reaches the loop in order, and a slow loop slows the reader down (its
//! channel is bounded), hence the peer, and never loses a message.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use fabric::frame::{self, Frames};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::halves::{ReadHalf, WriteHalf};

/// How many bytes are gathered before they are written.
const BURST: usize = 64 * 1024;

/// How many bytes are read at once.
const PIECE: usize = 64 * 1024;

/// The sending end of a link. Dropping the last one closes that direction.
#[derive(Debug, Clone)]
pub(super) struct Link {
    queue: UnboundedSender<Vec<u8>>,
    /// How many bytes wait in it, shared with who writes them.
    behind: Arc<AtomicUsize>,
}

/// What is sent on a link and is still to be written.
#[derive(Debug)]
pub(super) struct Waiting {
    queue: UnboundedReceiver<Vec<u8>>,
    behind: Arc<AtomicUsize>,
}

impl Link {
    /// Starts the task that writes to `stream`.
    ///
    /// The queue is not bounded: a process that does not read must not hold up the loop. What may be a stranger's
    /// program looks how far it is [`behind`](Self::behind).
    #[must_use]
    pub(super) fn start(stream: WriteHalf) -> Self {
        let (link, waiting) = Self::ahead();
        tokio::spawn(write(stream, waiting));
        link
    }

    /// One whose stream is still to come: what is sent until then waits for [`write`].
    #[must_use]
    pub(super) fn ahead() -> (Self, Waiting) {
        let (sending, queue) = mpsc::unbounded_channel();
        let behind = Arc::default();
        (Self { queue: sending, behind: Arc::clone(&behind) }, Waiting { queue, behind })
    }

    /// Sends a message. A peer that is gone is reported by the reading end.
    pub(super) fn send<T: Serialize>(&self, message: &T) {
        match frame::encode(message) {
            Ok(bytes) => {
                self.behind.fetch_add(bytes.len(), Ordering::Relaxed);
                drop(self.queue.send(bytes));
            }
            Err(error) => tracing::error!("a message was not sent: {error}"),
        }
    }

    /// How many bytes were sent and are not written yet.
    pub(super) fn behind(&self) -> usize {
        self.behind.load(Ordering::Relaxed)
    }
}

/// Writes what is sent on a link, until that is dropped.
pub(super) async fn write(mut stream: WriteHalf, mut waiting: Waiting) {
    while let Some(mut bytes) = waiting.queue.recv().await {
        // Messages that come in a burst go out in one call.
        while bytes.len() < BURST
            && let Ok(more) = waiting.queue.try_recv()
        {
            bytes.extend(more);
        }
        if stream.write_all(&bytes).await.is_err() {
            break;
        }
        waiting.behind.fetch_sub(bytes.len(), Ordering::Relaxed);
    }
}

/// Reads one message after the other.
#[derive(Debug)]
pub(super) struct Reader {
    stream: ReadHalf,
    frames: Frames,
    piece: Vec<u8>,
}

impl Reader {
    /// Reads from `stream`.
    #[must_use]
    pub(super) fn new(stream: ReadHalf) -> Self {
        Self { stream, frames: Frames::default(), piece: vec![0; PIECE] }
    }

    /// The next message; `None` at the end of the stream.
    ///
    /// # Errors
    /// When the stream fails or carries something else than messages of this type.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> anyhow::Result<Option<T>> {
        loop {
            if let Some(message) = self.frames.next()? {
                return Ok(Some(message));
            }
            match self.stream.read(&mut self.piece).await {
                // A process that was killed with something unread resets the connection.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(None),
                Ok(0) => return Ok(None),
                read => self.frames.extend(&self.piece[..read.context("reading from a process of ours")?]),
            }
        }
    }
}
