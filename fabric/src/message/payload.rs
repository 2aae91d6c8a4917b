//! A pickled value with its buffers beside it, small ones in the message and large ones in shared memory.
//!
//! **Invariant**: whoever receives a [`Shared`] opens it before the holder may close it; nobody but Python
//! looks into a pickle.

use std::fs::File;

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
    /// Where the buffer begins in the file, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub length: u64,
}

impl Shared {
    /// Opens the memory file in this process.
    ///
    /// # Errors
    /// A sentence that names the process, when that has closed it, or has gone.
    pub fn open(&self) -> Result<File, String> {
        let Shared { holder, descriptor, .. } = self;
        let path = format!("/proc/{holder}/fd/{descriptor}");
        File::open(&path).map_err(|error| {
            format!("the data of process {holder} in shared memory (`{path}`) cannot be opened: {error}")
        })
    }
}

impl Payload {
    /// How many bytes it is, wherever they are.
    #[must_use]
    pub fn size(&self) -> u64 {
        let buffers = self.buffers.iter().map(|blob| match blob {
            Blob::Inline(bytes) => bytes.len() as u64,
            Blob::Shared(shared) => shared.length,
            Blob::Lost(_) => 0,
        });
        self.pickle.len() as u64 + buffers.sum::<u64>()
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
