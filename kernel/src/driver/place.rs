//! Where in its cell the local process is: a memory file in which it notes the line of the statement that runs,
//! to be read when the process is gone (`engine/src/local/place.rs`).

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, memfd_create};

/// The kernel's end.
#[derive(Debug)]
pub(super) struct Place(File);

impl Place {
    /// A new one, and the descriptor for the process.
    ///
    /// # Errors
    /// When the system is out of descriptors.
    pub(super) fn new() -> std::io::Result<(Self, OwnedFd)> {
        let file = File::from(memfd_create("parallel-python-place", MemfdFlags::CLOEXEC)?);
        let theirs = OwnedFd::from(file.try_clone()?);
        Ok((Self(file), theirs))
    }

    /// The line of the cell, counted from 1, if a statement ran.
    pub(super) fn line(&self) -> Option<usize> {
        let mut line = [0; 4];
        self.0.read_exact_at(&mut line, 0).ok()?;
        usize::try_from(u32::from_ne_bytes(line)).ok().filter(|line| *line > 0)
    }
}
