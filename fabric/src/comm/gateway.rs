//! Rank 0's socket to the kernel.
//!
//! **Invariant**: frames are written whole, one writer at a time, by whichever thread has one; only
//! the comm thread reads. Writing blocks while the kernel does not keep up, reading never does.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

use super::Ended;
use crate::frame::Frames;
use crate::message::task::ToGateway;
use crate::transport::FabricError;

/// The socket.
#[derive(Debug)]
pub(super) struct Gateway {
    socket: UnixStream,
    writing: Mutex<()>,
}

impl Gateway {
    pub(super) fn new(socket: UnixStream) -> Result<Gateway, FabricError> {
        socket.set_nonblocking(false).map_err(FabricError::io("cannot set up the gateway socket"))?;
        Ok(Gateway { socket, writing: Mutex::new(()) })
    }

    /// Writes whole frames.
    pub(super) fn write(&self, mut frames: &[u8]) -> Result<(), Ended> {
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        while !frames.is_empty() {
            match retry_on_intr(|| send(&self.socket, frames, SendFlags::NOSIGNAL)) {
                Ok(count) => frames = &frames[count..],
                Err(Errno::PIPE | Errno::CONNRESET) => return Err(Ended::KernelGone),
                Err(error) => return Err(Ended::Gateway(error.to_string())),
            }
        }
        Ok(())
    }

    /// Reads what is there into `frames`.
    pub(super) fn read(&self, frames: &mut Frames) -> Result<(), Ended> {
        let read = |piece: &mut [u8]| {
            retry_on_intr(|| recv(&self.socket, &mut *piece, RecvFlags::DONTWAIT)).map(|(_, count)| count)
        };
        match frames.fill(read) {
            Ok(0) | Err(Errno::CONNRESET) => Err(Ended::KernelGone),
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(error) => Err(Ended::Gateway(error.to_string())),
        }
    }

    /// Nothing is passed on any more: the kernel learns it, though this process lives.
    pub(super) fn hang_up(&self) {
        // A kernel that has gone need not be told.
        let _ = shutdown(&self.socket, Shutdown::Both);
    }

    /// The next order of the kernel.
    pub(super) fn next(frames: &mut Frames) -> Result<Option<ToGateway>, Ended> {
        frames.next().map_err(|error| Ended::Gateway(error.to_string()))
    }
}

impl AsFd for Gateway {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
