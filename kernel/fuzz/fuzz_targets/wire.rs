//! What the property tests of `kernel/src/wire/properties.rs` check, for as long as one likes:
//! `cd kernel && cargo +nightly fuzz run wire` (on a stable toolchain: `cargo fuzz run -s none wire`).

#![no_main]

use bytes::Bytes;
use fabric::message::local::{Channel, Message};
use kernel::wire::{Signer, WireError};
use serde_bytes::ByteBuf;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let frames = cut(bytes);
    if let Ok(incoming) = Signer::new("").decode(Channel::Shell, &frames) {
        // Without a key everything is kept but what stands for a signature.
        assert_comes_back(&incoming.message, "");
        assert_comes_back(&incoming.message, "key");
    }
    assert!(Signer::new("key").decode(Channel::Shell, &frames).is_err(), "nobody has signed this");
    signed_is_judged_by_its_json(frames);
});

/// Frames as the bytes have it: each is preceded by its length, and 255 stands for the delimiter.
fn cut(mut bytes: &[u8]) -> Vec<Bytes> {
    let mut frames = Vec::new();
    while let Some((length, rest)) = bytes.split_first() {
        bytes = rest;
        if *length == u8::MAX {
            frames.push(Bytes::from_static(b"<IDS|MSG>"));
            continue;
        }
        let (frame, rest) = bytes.split_at(bytes.len().min(usize::from(*length)));
        frames.push(Bytes::copy_from_slice(frame));
        bytes = rest;
    }
    frames
}

/// A message that was decoded is one that can be sent, once.
fn assert_comes_back(message: &Message, key: &str) {
    let frames = Signer::new(key).encode(message.clone());
    let mut signer = Signer::new(key);
    let back = signer.decode(Channel::Shell, &frames).expect("what was decoded can be decoded again");
    assert_eq!(&back.message, message);
    let again = signer.decode(Channel::Shell, &frames);
    assert!(key.is_empty() || matches!(again, Err(WireError::Replayed)));
}

/// Who has the key may send anything: it is a message, or is refused for its JSON.
fn signed_is_judged_by_its_json(frames: Vec<Bytes>) {
    let mut frames = frames.into_iter().map(|frame| ByteBuf::from(frame.to_vec()));
    let mut next = || frames.next().unwrap_or_default();
    let (header, parent, metadata, content) = (next(), next(), next(), next());
    let sent = Message {
        channel: Channel::Shell,
        identities: vec![],
        header,
        parent,
        metadata,
        content,
        buffers: frames.collect(),
    };
    match Signer::new("key").decode(Channel::Shell, &Signer::new("key").encode(sent.clone())) {
        Ok(incoming) => assert_eq!(incoming.message, sent),
        Err(WireError::Header(_) | WireError::NotAnObject { .. }) => {}
        Err(refused) => panic!("{refused}"),
    }
}
