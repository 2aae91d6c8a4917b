//! A socket that a thread reads while other threads of the process write to it.
//!
//! **Invariant**: the reading thread wakes when there is something to read. A blocking read of a Unix socket is also
//! woken whenever the peer has taken a message out of it, which `poll` is not.

use std::io::{self, Read};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};

/// The reading end.
pub(crate) struct Undisturbed<T>(pub(crate) T);

impl<T: Read + AsFd> Read for Undisturbed<T> {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        poll(&mut [PollFd::new(&self.0, PollFlags::IN)], None)?;
        self.0.read(piece)
    }
}
