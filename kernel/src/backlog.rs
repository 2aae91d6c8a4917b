//! How much of what was published has not been written to the clients, and waiting for there to be less.
//!
//! The PUB socket keeps a queue for each subscriber, bounded by a count of messages alone, and drops what does
//! not fit. So each message carries a share that is given back when the last copy of it is gone, and
//! those who produce output (the readers of the links to Python) wait while the shares add up to too much.
//! Their links fill, and the writers at the other end wait without the GIL.
//!
//! **Invariant**: the session's loop and the answers to clients never wait here, so the kernel can be
//! interrupted however much is queued. The limit may be overrun by what the loop had been given before.
//!
//! **Policy**: the slowest client that still reads sets the pace. One that takes nothing for [`PATIENCE`] with
//! output waiting for it is disconnected, by TCP itself ([`crate::sockets`] asks for that), and may
//! come back; until then the others have the whole limit to run ahead. Where nothing can be done (ipc), output
//! goes on after that time, beyond the limit, and the log says so.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

/// How many bytes may wait: what a client may be behind before others feel it.
const MOST_BYTES: usize = 256 << 20;

/// How many messages may wait: below the count from which the crate drops them.
const MOST_MESSAGES: usize = 50_000;

/// How long a client may take nothing at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How much longer than TCP is waited for room.
const GRACE: Duration = Duration::from_secs(5);

/// What waits to be written.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    bytes: AtomicUsize,
    messages: AtomicUsize,
    freed: Notify,
    /// Until when nobody waits, because waiting did not help.
    given_up: Mutex<Option<Instant>>,
}

impl Backlog {
    /// Counts a message of `size` bytes for as long as a copy of `frame`, which is one of its frames, lives.
    pub(crate) fn hold(self: &Arc<Self>, frame: Bytes, size: usize) -> Bytes {
        self.bytes.fetch_add(size, Ordering::Relaxed);
        self.messages.fetch_add(1, Ordering::Relaxed);
        Bytes::from_owner(Share { frame, size, backlog: Arc::clone(self) })
    }

    /// Waits until more may be produced.
    pub(crate) async fn room(&self) {
        while self.is_full() && !self.is_given_up() {
            let freed = self.freed.notified();
            // Between the look and the wait something may have been freed.
            if !self.is_full() {
                break;
            }
            if tokio::time::timeout(PATIENCE + GRACE, freed).await.is_err() {
                self.give_up();
            }
        }
    }

    /// Waits until everything has been written.
    pub(crate) async fn empty(&self) {
        while self.messages.load(Ordering::Relaxed) > 0 {
            let freed = self.freed.notified();
            if self.messages.load(Ordering::Relaxed) == 0 {
                break;
            }
            freed.await;
        }
    }

    fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > MOST_BYTES
            || self.messages.load(Ordering::Relaxed) > MOST_MESSAGES
    }

    fn is_given_up(&self) -> bool {
        let until = *self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    fn give_up(&self) {
        let bytes = self.bytes.load(Ordering::Relaxed);
        tracing::warn!("a client reads nothing: {bytes} bytes wait for it, and output goes on without it");
        *self.given_up.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + PATIENCE);
    }
}

/// One message's part of the backlog.
struct Share {
    frame: Bytes,
    size: usize,
    backlog: Arc<Backlog>,
}

impl AsRef<[u8]> for Share {
    fn as_ref(&self) -> &[u8] {
        &self.frame
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.backlog.bytes.fetch_sub(self.size, Ordering::Relaxed);
        self.backlog.messages.fetch_sub(1, Ordering::Relaxed);
        self.backlog.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    }

    #[test]
    fn room_comes_with_the_last_copy() {
        let backlog = Arc::new(Backlog::default());
        let frame = backlog.hold(Bytes::from_static(b"content"), MOST_BYTES + 1);
        assert_eq!(&frame[..], b"content");
        let copy = frame.clone();
        runtime().block_on(async {
            let waits = |backlog: Arc<Backlog>| async move {
                tokio::time::timeout(Duration::from_millis(20), backlog.room()).await.is_err()
            };
            assert!(waits(Arc::clone(&backlog)).await);
            drop(frame);
            assert!(waits(Arc::clone(&backlog)).await, "a copy lives");
            let waiting = tokio::spawn({
                let backlog = Arc::clone(&backlog);
                async move { backlog.room().await }
            });
            tokio::task::yield_now().await;
            drop(copy);
            waiting.await.unwrap();
            backlog.empty().await;
        });
    }

    #[test]
    fn many_small_messages_are_too_many() {
        let backlog = Arc::new(Backlog::default());
        let frames: Vec<Bytes> = (0..=MOST_MESSAGES).map(|_| backlog.hold(Bytes::new(), 1)).collect();
        assert!(backlog.is_full());
        drop(frames);
        assert!(!backlog.is_full());
    }
}
