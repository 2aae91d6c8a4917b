//! Whatever frames arrive, the decoder returns; and what a holder of the key sent comes back whole.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn frame() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        2 => Just(Bytes::from_static(DELIMITER)),
        1 => Just(Bytes::from_static(b"{}")),
        1 => "[0-9a-f]{0,66}".prop_map(Bytes::from),
        3 => vec(any::<u8>(), 0..80).prop_map(Bytes::from),
    ]
}

/// JSON, nearly JSON, and something else.
fn part() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"{}".to_vec()),
        r#"\{"msg_id":("[a-z]{0,5}"|1|null),"msg_type":"[a-z_]{0,9}"(,"subshell_id":("[a-z]{0,3}"|null|2))?\}?"#
            .prop_map(String::into_bytes),
        r#"[\[\]{}",:0-9a-z\\ ]{0,40}"#.prop_map(String::into_bytes),
        vec(any::<u8>(), 0..40),
    ]
}

fn json(bytes: Vec<u8>) -> serde_bytes::ByteBuf {
    serde_bytes::ByteBuf::from(bytes)
}

proptest! {
    #[test]
    fn any_frames_are_a_message_or_an_error(key in "[a-z]{0,2}", frames in vec(frame(), 0..12)) {
        if let Ok(incoming) = Signer::new(&key).decode(Channel::Shell, &frames) {
            // Only without a key can such frames pass.
            prop_assert!(key.is_empty());
            prop_assert!(object(&incoming.message.content).is_some());
        }
    }

    #[test]
    fn what_is_signed_is_whole_or_is_refused_for_its_json(
        identities in vec(vec(any::<u8>(), 0..20).prop_filter("the delimiter ends them", |id| id != DELIMITER), 0..3),
        parts in [part(), part(), part(), part()],
        buffers in vec(vec(any::<u8>(), 0..40), 0..3),
    ) {
        let [header, parent, metadata, content] = parts.map(json);
        let many = |list: Vec<Vec<u8>>| list.into_iter().map(json).collect();
        let sent = Message {
            channel: Channel::Shell,
            identities: many(identities),
            header, parent, metadata, content,
            buffers: many(buffers),
        };
        let frames = Signer::new("key").encode(sent.clone());
        match Signer::new("key").decode(Channel::Shell, &frames) {
            Ok(incoming) => prop_assert_eq!(incoming.message, sent),
            Err(refused) => prop_assert!(
                matches!(refused, WireError::Header(_) | WireError::NotAnObject { .. }), "{}", refused
            ),
        }
    }

    #[test]
    fn one_changed_byte_is_a_wrong_signature(at in any::<prop::sample::Index>(), place in 1_usize..5) {
        let text = |text: &str| json(text.as_bytes().to_vec());
        let message = Message {
            channel: Channel::Control,
            identities: vec![],
            header: text(r#"{"msg_id":"m","msg_type":"kernel_info_request"}"#),
            parent: text("{}"),
            metadata: text("{}"),
            content: text("{}"),
            buffers: vec![],
        };
        let mut frames = Signer::new("key").encode(message);
        let mut changed = frames[place].to_vec();
        let at = at.index(changed.len());
        changed[at] ^= 0x10;
        frames[place] = Bytes::from(changed);
        prop_assert!(Signer::new("key").decode(Channel::Control, &frames).is_err());
    }
}
