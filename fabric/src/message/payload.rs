//! A pickled value with its buffers beside it, small ones in the message and large ones in shared memory.
//!
//! **Invariant**: whoever receives a [`Shared`] opens it before the holder may close it; nobody but Python
//! looks into a pickle.

use std::fmt::Display;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// A pickle (protocol 5) and its out-of-band buffers, in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Payload {
    /// The pickle.
    pub pickle: ByteBuf,
    /// What it refers to.
    pub buffers: Vec<Blob>,
}

/// One buffer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Blob {
    /// Its bytes.
    Inline(ByteBuf),
    /// Where its bytes are.
    Shared(Shared),
    /// It cannot be had any more, and why.
    Lost(String),
}

/// A part of a memory file (`memfd_create(2)`). Any process of the same user on the node reaches it through
/// `/proc/<holder>/fd/<descriptor>` as long as the holder keeps it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// The process that has it open.
    pub holder: u32,
    /// The descriptor's number there.
    pub descriptor: u32,
    /// The file's inode number: when it is closed, another file may be given the descriptor's.
    pub inode: u64,
    /// Where the buffer begins in the file, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub length: u64,
}

/// What tells a memory file from every other.
///
/// # Errors
/// What the system says.
pub fn inode_of(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.ino())
}

impl Shared {
    /// Opens the memory file in this process.
    ///
    /// # Errors
    /// A sentence that names the process, when that has closed it, or has gone.
    pub fn open(&self) -> Result<File, String> {
        let Shared { holder, descriptor, inode, .. } = self;
        let path = format!("/proc/{holder}/fd/{descriptor}");
        let failed = |why: &dyn Display| {
            format!("the data of process {holder} in shared memory (`{path}`) cannot be opened: {why}")
        };
        let file = File::open(&path).map_err(|error| failed(&error))?;
        if inode_of(&file).is_ok_and(|found| found == *inode) {
            Ok(file)
        } else {
            Err(failed(&"it was closed, and this is another file"))
        }
    }
}

/// Reads a part of a memory file, which then travels in a message.
///
/// # Errors
/// A sentence for the user.
pub fn read(file: &File, from: u64, length: u64) -> Result<ByteBuf, String> {
    let failed = |why: &dyn Display| format!("large data cannot be read from shared memory: {why}");
    let mut bytes = vec![0; usize::try_from(length).map_err(|error| failed(&error))?];
    file.read_exact_at(&mut bytes, from).map_err(|error| failed(&error))?;
    Ok(ByteBuf::from(bytes))
}

impl Payload {
    /// How many bytes it is, wherever they are; a stranger's lengths may be more than can be added up.
    #[must_use]
    pub fn size(&self) -> u64 {
        let buffers = self.buffers.iter().map(|blob| match blob {
            Blob::Inline(bytes) => bytes.len() as u64,
            Blob::Shared(shared) => shared.length,
            Blob::Lost(_) => 0,
        });
        buffers.fold(self.pickle.len() as u64, u64::saturating_add)
    }

    /// Whether it has buffers that are in shared memory.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.shared().next().is_some()
    }

    /// The buffers that are in shared memory.
    pub fn shared(&self) -> impl Iterator<Item = &Shared> {
        self.buffers.iter().filter_map(|blob| match blob {
            Blob::Shared(shared) => Some(shared),
            Blob::Inline(_) | Blob::Lost(_) => None,
        })
    }

    /// Has what is in shared memory be lost, and says why. Returns how many bytes that was.
    pub fn lose_shared(&mut self, why: &str) -> u64 {
        let mut lost = 0;
        for blob in &mut self.buffers {
            if let Blob::Shared(shared) = blob {
                lost += shared.length;
                *blob = Blob::Lost(why.to_owned());
            }
        }
        lost
    }

    /// Why a buffer is lost, if one is.
    #[must_use]
    pub fn lost(&self) -> Option<&str> {
        self.buffers.iter().find_map(|blob| match blob {
            Blob::Lost(why) => Some(why.as_str()),
            Blob::Inline(_) | Blob::Shared(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use rustix::fs::{MemfdFlags, memfd_create};

    use super::*;

    #[test]
    fn lengths_that_cannot_be_added_up_are_large() {
        let shared = Shared { holder: 1, descriptor: 3, inode: 0, offset: 0, length: u64::MAX };
        let payload = Payload { buffers: vec![Blob::Shared(shared); 2], ..Payload::default() };
        assert_eq!((payload.size(), payload.is_shared()), (u64::MAX, true));
        assert!(!Payload::default().is_shared());
    }

    #[test]
    fn another_file_that_was_given_the_number_is_not_taken_for_it() {
        let new = || File::from(memfd_create("test", MemfdFlags::CLOEXEC).unwrap());
        let (file, other) = (new(), new());
        let descriptor = file.as_raw_fd().cast_unsigned();
        let inode = inode_of(&file).unwrap();
        let shared = Shared { holder: std::process::id(), descriptor, inode, offset: 0, length: 0 };
        assert_eq!(inode_of(&shared.open().unwrap()).unwrap(), inode);
        let stranger = Shared { descriptor: other.as_raw_fd().cast_unsigned(), ..shared };
        assert!(stranger.open().unwrap_err().contains("this is another file"));
    }
}
