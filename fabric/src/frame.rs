//! Frames on a stream socket: a little-endian `u32` length, then that many bytes of one
//! [postcard](https://docs.rs/postcard)-encoded value.
//!
//! **Invariant**: [`Frames`] holds at most one incomplete frame of at most [`MAX_FRAME`] bytes, and
//! yields values in the order in which they were written, however the stream was cut into reads.

use std::io::{self, Read, Write};

use serde::{Serialize, de::DeserializeOwned};

/// The largest frame accepted, in bytes. Bulk data does not travel in frames, so a larger length
/// means a peer that speaks something else.
pub const MAX_FRAME: usize = 1 << 29;

const LENGTH: usize = size_of::<u32>();

/// How many bytes are read at once.
const PIECE: usize = 64 * 1024;

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The length prefix is beyond [`MAX_FRAME`].
    #[error("a frame of {length} bytes: the limit is {MAX_FRAME}, so the peer does not speak this protocol")]
    TooLong {
        /// The length that was announced, in bytes.
        length: usize,
    },
    /// A message is too large to be sent.
    #[error(
        "a message of {length} bytes cannot be sent, the limit is {MAX_FRAME}: large data travels beside messages \
         if it is pickled with out-of-band buffers (protocol 5), as arrays are"
    )]
    TooLarge {
        /// The length that encoding produced, in bytes.
        length: usize,
    },
    /// The bytes are not an encoding of the expected type.
    #[error("a frame of {length} bytes that does not decode: {reason}")]
    Malformed {
        /// The frame's length in bytes.
        length: usize,
        /// What the decoder said.
        reason: postcard::Error,
    },
    /// The stream failed, or ended inside a frame.
    #[error("the link failed: {0}")]
    Io(#[from] io::Error),
}

/// Encodes `value` as one frame, length included.
///
/// # Errors
/// [`FrameError::TooLarge`] when the encoding exceeds [`MAX_FRAME`].
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, FrameError> {
    let mut frame = postcard::to_extend(value, vec![0; LENGTH])
        .map_err(|reason| FrameError::Malformed { length: 0, reason })?;
    let length = frame.len() - LENGTH;
    match u32::try_from(length) {
        Ok(prefix) if length <= MAX_FRAME => frame[..LENGTH].copy_from_slice(&prefix.to_le_bytes()),
        _ => return Err(FrameError::TooLarge { length }),
    }
    Ok(frame)
}

/// Encodes `value` without a length, for carriers that keep message boundaries (MPI).
///
/// # Errors
/// [`FrameError::Malformed`] when `value` has no encoding.
pub fn pack<T: Serialize>(value: &T) -> Result<Vec<u8>, FrameError> {
    postcard::to_stdvec(value).map_err(|reason| FrameError::Malformed { length: 0, reason })
}

/// Decodes the whole of `bytes` as one value.
///
/// # Errors
/// [`FrameError::Malformed`] when `bytes` is not exactly one encoded value.
pub fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FrameError> {
    let malformed = |reason| FrameError::Malformed { length: bytes.len(), reason };
    match postcard::take_from_bytes(bytes).map_err(malformed)? {
        (value, []) => Ok(value),
        (_, _rest) => Err(malformed(postcard::Error::DeserializeBadEncoding)),
    }
}

/// Writes one frame to a blocking stream.
///
/// # Errors
/// As [`encode`], and what the stream returns.
pub fn write<T: Serialize>(stream: &mut impl Write, value: &T) -> Result<(), FrameError> {
    Ok(stream.write_all(&encode(value)?)?)
}

/// Reassembles frames from a stream that is read in arbitrary pieces.
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    taken: usize,
    /// Where reads go, made by the first one: to clear so much memory for each would cost more than most frames do.
    piece: Vec<u8>,
}

impl Frames {
    /// Adds bytes as they were read.
    pub fn extend(&mut self, bytes: &[u8]) {
        if self.taken > 0 {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Adds what `read` reads: how many bytes that was.
    ///
    /// # Errors
    /// What `read` returns.
    pub fn fill<E>(&mut self, read: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<usize, E> {
        let mut piece = std::mem::take(&mut self.piece);
        piece.resize(PIECE, 0);
        let count = read(&mut piece).map(|count| count.min(PIECE));
        if let Ok(count) = count {
            self.extend(&piece[..count]);
        }
        self.piece = piece;
        count
    }

    /// The next complete value, or `None` until more bytes are there.
    ///
    /// # Errors
    /// [`FrameError::TooLong`] and [`FrameError::Malformed`]; the stream is unusable afterwards.
    #[expect(clippy::should_implement_trait, reason = "it is fallible, and of any type")]
    pub fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let Some((length, body)) = self.first() else { return Ok(None) };
        if length > MAX_FRAME {
            return Err(FrameError::TooLong { length });
        }
        let Some(body) = body.get(..length) else { return Ok(None) };
        let value = unpack(body)?;
        self.taken += LENGTH + length;
        Ok(Some(value))
    }

    /// Whether a frame is there as a whole, so that [`Frames::next`] has something to say.
    #[must_use]
    pub fn has_one(&self) -> bool {
        self.first().is_some_and(|(length, body)| body.len() >= length)
    }

    /// How long the next frame's body is, and what there is of it and behind it.
    fn first(&self) -> Option<(usize, &[u8])> {
        let (prefix, body) = self.bytes[self.taken..].split_first_chunk::<LENGTH>()?;
        Some((u32::from_le_bytes(*prefix) as usize, body))
    }

    /// Blocks until the next value has been read from `stream`; `None` at its end.
    ///
    /// # Errors
    /// As [`Frames::next`], and what the stream returns; an end inside a frame is
    /// [`io::ErrorKind::UnexpectedEof`].
    pub fn read<T: DeserializeOwned>(&mut self, stream: &mut impl Read) -> Result<Option<T>, FrameError> {
        loop {
            if let Some(value) = self.next()? {
                return Ok(Some(value));
            }
            match self.fill(|piece| stream.read(piece)) {
                Ok(0) if self.taken == self.bytes.len() => return Ok(None),
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_any_cut_of_the_stream() {
        let sent = vec!["", "one", "a longer one"];
        let stream: Vec<u8> = sent.iter().flat_map(|text| encode(text).unwrap()).collect();
        for cut in 1..=stream.len() {
            let (mut frames, mut got) = (Frames::default(), Vec::new());
            for piece in stream.chunks(cut) {
                frames.extend(piece);
                while frames.has_one() {
                    got.push(frames.next::<String>().unwrap().unwrap());
                }
                assert_eq!(frames.next::<String>().unwrap(), None);
            }
            assert_eq!(got, sent, "pieces of {cut}");
        }
    }

    #[test]
    fn what_is_not_a_frame_is_an_error() {
        let decode = |bytes: &[u8]| {
            let mut frames = Frames::default();
            frames.extend(bytes);
            frames.next::<String>()
        };
        assert!(matches!(decode(b"GET / HTTP/1.1"), Err(FrameError::TooLong { .. })));
        assert!(matches!(decode(&[2, 0, 0, 0, 9, b'x']), Err(FrameError::Malformed { .. })));
        assert!(matches!(decode(&[3, 0, 0, 0, 1, b'x', b'y']), Err(FrameError::Malformed { .. })));
        assert!(matches!(decode(&[3, 0, 0, 0, 1, b'x']), Ok(None)));
        let cut = &encode(&"whole").unwrap()[..4];
        assert!(Frames::default().read::<String>(&mut &cut[..]).is_err());
        assert!(Frames::default().read::<String>(&mut &b""[..]).unwrap().is_none());
    }
}
