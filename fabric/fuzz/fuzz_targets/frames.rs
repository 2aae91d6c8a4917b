//! Whatever a socket carries, however it is cut into reads, yields values or an error, and no memory beyond what
//! arrived: `cd fabric && cargo +nightly fuzz run frames` (on a stable toolchain: `cargo fuzz run -s none frames`).

#![no_main]

use fabric::frame::{Frames, encode};
use fabric::message::local::ToLocal;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((cut, bytes)) = bytes.split_first() else { return };
    let pieces = bytes.chunks(usize::from(*cut).max(1));
    let whole = read(std::iter::once(bytes));
    assert_eq!(read(pieces), whole, "how the stream was cut makes a difference");
});

/// What was read, encoded, because a number that is none is not equal to itself; and whether it ended in an error.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, bool) {
    let mut frames = Frames::default();
    let mut values = Vec::new();
    for piece in pieces {
        frames.extend(piece);
        loop {
            match frames.next::<ToLocal>() {
                Ok(Some(value)) => values.push(encode(&value).expect("what was decoded can be encoded")),
                Ok(None) => break,
                Err(_) => return (values, true),
            }
        }
    }
    (values, false)
}
