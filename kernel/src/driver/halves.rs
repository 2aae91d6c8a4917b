//! The two directions of a Unix socket.
//!
//! **Invariant**: a side that has nothing to write is not woken when the other side reads. Tokio's own halves wait
//! for both directions at once, and a Unix socket tells of room after each message that was taken out of it: that is
//! a wake-up for every message that is sent, in the middle of the way of the next.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;

/// The receiving direction.
#[derive(Debug)]
pub(super) struct ReadHalf(AsyncFd<StdStream>);

/// The sending direction; it ends with this.
#[derive(Debug)]
pub(super) struct WriteHalf(Arc<StdStream>);

/// What ends both directions at once, whatever is being read or written.
#[derive(Debug)]
pub(super) struct Cut(Arc<StdStream>);

/// Takes a socket apart.
///
/// # Errors
/// What the system says when it has no descriptor to give.
pub(super) fn split(stream: UnixStream) -> io::Result<(ReadHalf, WriteHalf)> {
    let stream = stream.into_std()?;
    let writing = stream.try_clone()?;
    Ok((ReadHalf(register(stream, Interest::READABLE)?), WriteHalf(Arc::new(writing))))
}

/// Has a descriptor waited for, in one direction.
fn register<T: AsRawFd + AsFd>(descriptor: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    #[expect(
        deprecated,
        reason = "its flaw is descriptors that are nobody's; what lends or owns one is none"
    )]
    AsyncFd::with_interest(descriptor, interest)
}

impl ReadHalf {
    /// Reads what there is, once there is something: how many bytes, 0 at the end of the stream.
    ///
    /// # Errors
    /// What the system says.
    pub(super) async fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.0.readable().await?;
            match ready.try_io(|stream| stream.get_ref().read(piece)) {
                Ok(Ok(count)) => {
                    // Less than there was room for: the next read would find nothing, and the end is told again.
                    if count > 0 && count < piece.len() {
                        ready.clear_ready();
                    }
                    return Ok(count);
                }
                Ok(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Err(error),
                Err(_nothing_there) => {}
            }
        }
    }
}

impl WriteHalf {
    /// Writes all of it, and waits for room where there is none.
    ///
    /// # Errors
    /// What the system says.
    pub(super) async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match (&*self.0).write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.room().await?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What ends this direction and the other.
    pub(super) fn cut(&self) -> Cut {
        Cut(Arc::clone(&self.0))
    }

    async fn room(&self) -> io::Result<()> {
        register(self.0.as_fd(), Interest::WRITABLE)?.writable().await.map(drop)
    }
}

impl Cut {
    /// Ends both directions: the reading half reads the end of its stream.
    pub(super) fn both(&self) {
        // A peer that has gone needs no end.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

impl Drop for WriteHalf {
    fn drop(&mut self) {
        // The other direction has a descriptor of its own. A peer that has gone needs no end.
        let _ = self.0.shutdown(Shutdown::Write);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn within<T>(work: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(30), work).await.unwrap()
    }

    #[tokio::test]
    async fn what_has_no_room_waits_and_comes_whole() {
        let (one, other) = UnixStream::pair().unwrap();
        let (_, mut writing) = split(one).unwrap();
        let (mut reading, _) = split(other).unwrap();
        let sent: Vec<u8> = (0..4_000_000_u32).map(|number| number.to_le_bytes()[1]).collect();
        let expected = sent.clone();
        let writer = tokio::spawn(async move { writing.write_all(&sent).await });
        let (mut came, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
        loop {
            match within(reading.read(&mut piece)).await.unwrap() {
                0 => break,
                count => came.extend_from_slice(&piece[..count]),
            }
        }
        assert!(came == expected, "{} of {} bytes, or others", came.len(), expected.len());
        within(writer).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn the_end_comes_after_the_last_message() {
        for first in [true, false] {
            let (one, other) = UnixStream::pair().unwrap();
            let (_, mut writing) = split(one).unwrap();
            let (mut reading, _) = split(other).unwrap();
            let mut piece = [0; 64];
            writing.write_all(b"the last").await.unwrap();
            if first {
                assert_eq!(within(reading.read(&mut piece)).await.unwrap(), 8);
                drop(writing);
            } else {
                drop(writing);
                assert_eq!(within(reading.read(&mut piece)).await.unwrap(), 8);
            }
            assert_eq!(within(reading.read(&mut piece)).await.unwrap(), 0);
        }
    }

    #[tokio::test]
    async fn a_peer_that_has_gone_is_an_error() {
        let (one, other) = UnixStream::pair().unwrap();
        let (_, mut writing) = split(one).unwrap();
        drop(other);
        assert!(within(writing.write_all(b"x")).await.is_err());
    }
}
