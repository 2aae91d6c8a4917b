//! Decoding is total: whatever bytes arrive, a message or an error comes out, for every type that is sent; and
//! what was sent comes back whole.

mod every;
mod invent;

use every::{Check, every_message};
use fabric::frame::{Frames, MAX_FRAME, encode};
use proptest::collection::vec;
use proptest::prelude::*;

/// Reads the bytes as a frame of each type, in one piece and in several.
struct Stream<'a> {
    bytes: &'a [u8],
    cut: usize,
}

impl Check for Stream<'_> {
    fn check<T: every::Message>(&mut self, _: &str) {
        let mut frames = Frames::default();
        for piece in self.bytes.chunks(self.cut) {
            frames.extend(piece);
            while let Ok(Some(_)) = frames.next::<T>() {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in vec(any::<u8>(), 0..256)) {
        every_message(&mut every::Total(&bytes));
    }

    #[test]
    fn any_message_comes_back_whole(bytes in vec(any::<u8>(), 0..512)) {
        every_message(&mut every::RoundTrip(&bytes));
    }

    /// Nearly right is where decoders go wrong: a message with some of its bytes changed.
    #[test]
    fn a_damaged_message_is_a_message_or_an_error(
        bytes in vec(any::<u8>(), 1..256), at in any::<prop::sample::Index>(), other in any::<u8>(),
    ) {
        every_message(&mut every::Damaged { bytes: &bytes, at: at.index(64), other });
    }

    #[test]
    fn any_stream_is_read_to_its_end(bytes in vec(any::<u8>(), 0..128), length in 0_u32..16, cut in 1_usize..9) {
        let framed = [&length.to_le_bytes()[..], &bytes].concat();
        every_message(&mut Stream { bytes: &framed, cut });
        every_message(&mut Stream { bytes: &bytes, cut });
    }
}

/// A length that a peer claims costs nothing until its bytes are there.
#[test]
fn a_claimed_length_takes_no_memory() {
    let mut frames = Frames::default();
    frames.extend(&u32::try_from(MAX_FRAME).unwrap().to_le_bytes());
    assert!(matches!(frames.next::<String>(), Ok(None)));
    // A list of 2^60 elements, and a text of as many bytes.
    let mut huge = encode(&vec![0_u8; 10]).unwrap();
    huge.truncate(4);
    huge.extend([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10, 0]);
    huge[0] = 10;
    for decoded in [
        {
            let mut frames = Frames::default();
            frames.extend(&huge);
            frames.next::<Vec<u64>>().is_err()
        },
        {
            let mut frames = Frames::default();
            frames.extend(&huge);
            frames.next::<String>().is_err()
        },
    ] {
        assert!(decoded);
    }
}

/// A type that is sent and not listed here would not be tested.
#[test]
fn every_type_of_message_is_listed() {
    let listed = include_str!("every.rs");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/message");
    for entry in std::fs::read_dir(folder).unwrap() {
        let source = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let types = source.lines().filter_map(|line| {
            let rest = line.strip_prefix("pub enum ").or_else(|| line.strip_prefix("pub struct "))?;
            rest.split(|end: char| !end.is_alphanumeric()).next()
        });
        for name in types {
            assert!(listed.contains(&format!(" {name};")), "add `{name}` to tests/messages/every.rs");
        }
    }
}
