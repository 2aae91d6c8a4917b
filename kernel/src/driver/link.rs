//! A Unix socket that carries frames both ways: one task reads, one writes.
//!
//! **Invariant**: what is read reaches the loop in order, and a slow loop slows the reader down (its
//! channel is bounded), hence the peer, and never loses a message.

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
}

impl Link {
    /// Starts the task that writes to `stream`.
    ///
    /// The queue is not bounded: what the kernel says to one process is small and asked for by a
    /// person, and a process that does not read must not hold up the loop.
    #[must_use]
    pub(super) fn start(stream: WriteHalf) -> Self {
        let (link, waiting) = Self::ahead();
        tokio::spawn(write(stream, waiting));
        link
    }

    /// One whose stream is still to come: what is sent until then waits for [`write`].
    #[must_use]
    pub(super) fn ahead() -> (Self, UnboundedReceiver<Vec<u8>>) {
        let (queue, waiting) = mpsc::unbounded_channel();
        (Self { queue }, waiting)
    }

    /// Sends a message. A peer that is gone is reported by the reading end.
    pub(super) fn send<T: Serialize>(&self, message: &T) {
        match frame::encode(message) {
            Ok(bytes) => drop(self.queue.send(bytes)),
            Err(error) => tracing::error!("a message was not sent: {error}"),
        }
    }
}

/// Writes what is sent on a link, until that is dropped.
pub(super) async fn write(mut stream: WriteHalf, mut waiting: UnboundedReceiver<Vec<u8>>) {
    while let Some(mut bytes) = waiting.recv().await {
        // Messages that come in a burst go out in one call.
        while bytes.len() < BURST
            && let Ok(more) = waiting.try_recv()
        {
            bytes.extend(more);
        }
        if stream.write_all(&bytes).await.is_err() {
            break;
        }
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
