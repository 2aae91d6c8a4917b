//! What the command and the ranks write outside cells.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::tail::Tail;

/// How much of it is reported, in bytes.
const LAST_WORDS: usize = 4096;

/// The read end of the pipe and the tail of what came out of it.
pub(super) struct Output {
    pipe: File,
    is_open: bool,
    tail: Tail,
}

impl Output {
    /// A new pipe, and the end to write into.
    pub(super) fn new() -> std::io::Result<(Output, OwnedFd)> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        fcntl_setfl(&reader, OFlags::NONBLOCK)?;
        Ok((Output { pipe: reader.into(), is_open: true, tail: Tail::new(LAST_WORDS) }, writer))
    }

    /// The descriptor to wait for, while anybody can still write.
    pub(super) fn open(&self) -> Option<&File> {
        self.is_open.then_some(&self.pipe)
    }

    /// Takes what is there. At most what one pipe holds: a writer that never stops must not keep us.
    pub(super) fn read(&mut self) {
        let mut piece = [0; 16 * 1024];
        for _ in 0..8 {
            match self.pipe.read(&mut piece) {
                Ok(0) => return self.is_open = false,
                Ok(count) => self.tail.extend(&piece[..count]),
                Err(_nothing_there) => return,
            }
        }
    }

    /// The tail.
    pub(super) fn last_words(mut self) -> String {
        self.read();
        self.tail.text()
    }
}
