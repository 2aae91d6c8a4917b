//! The board: memory that all ranks of a host share, for the layer over user code's MPI calls.
//!
//! **Invariant**: a board is as large as [`LENGTH`] and zero when the first rank opens it; it lives in the engine
//! set's runtime folder and goes with it. What is on it is the plugin's business.

#![allow(unsafe_code)]

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::ptr;

/// Only what is used takes memory.
const LENGTH: usize = 512 << 10;

/// Maps the board for as long as the process lives: where, and how many bytes.
pub(crate) fn open(path: &Path) -> io::Result<(*mut u8, usize)> {
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    // Every rank does this; from the second on it changes nothing.
    file.set_len(LENGTH as u64)?;
    // SAFETY: a new mapping of a file of this length, at a place of the system's choice.
    let mapped = unsafe {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        libc::mmap(ptr::null_mut(), LENGTH, protection, libc::MAP_SHARED, file.as_raw_fd(), 0)
    };
    if mapped == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok((mapped.cast(), LENGTH))
}
