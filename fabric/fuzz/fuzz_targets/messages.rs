//! What the property tests of `fabric/tests/messages` check, for as long as one likes:
//! `cd fabric && cargo +nightly fuzz run messages` (on a stable toolchain: `cargo fuzz run -s none messages`).

#![no_main]

#[path = "../../tests/messages/every.rs"]
mod every;
#[path = "../../tests/messages/invent.rs"]
mod invent;

use every::{Total, RoundTrip, every_message};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    every_message(&mut Total(bytes));
    every_message(&mut RoundTrip(bytes));
});
