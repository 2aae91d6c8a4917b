//! Jupyter messages as they are on the wire: routing identities, the delimiter, a signature and
//! four JSON parts ([messaging, "The wire protocol"](https://jupyter-client.readthedocs.io/en/stable/messaging.html#the-wire-protocol)).
//!
//! **Invariant**: decoding is total: whatever arrives becomes an [`Incoming`] whose signature was
//! right and is seen for the first time, or a [`WireError`]. The JSON parts are kept byte for byte, because typed
//! decoding would lose what it does not know; only the few header fields that steer the kernel are read.

use std::collections::{HashSet, VecDeque};

use bytes::Bytes;
use fabric::message::local::{Channel, Message};
use hmac::{Hmac, Mac};
use serde::Deserialize;
use sha2::Sha256;

const DELIMITER: &[u8] = b"<IDS|MSG>";

/// How many signatures are remembered to refuse replays, as many as ipykernel remembers.
const REMEMBERED: usize = 1 << 16;

/// Why a message was refused.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// No delimiter among the frames.
    #[error("a message of {frames} frames without the delimiter <IDS|MSG>")]
    NoDelimiter {
        /// How many frames came.
        frames: usize,
    },
    /// Fewer than a signature and four parts after the delimiter.
    #[error("a message with {parts} of the 5 parts after the delimiter")]
    Short {
        /// How many parts came.
        parts: usize,
    },
    /// The signature does not match the content.
    #[error("a message whose signature is wrong: the sender does not have this kernel's key")]
    Signature,
    /// The same signed message came before.
    #[error("a message that was received before: replay refused")]
    Replayed,
    /// The header is not what the protocol asks for.
    #[error("a message whose header does not parse: {0}")]
    Header(serde_json::Error),
    /// Another part is not a JSON object.
    #[error("a message whose {part} is not a JSON object")]
    NotAnObject {
        /// Which part.
        part: &'static str,
    },
}

/// The header fields that steer the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Header {
    /// Names the message.
    pub msg_id: String,
    /// What it asks for.
    pub msg_type: String,
    /// The subshell it is for, `None` for the main shell.
    #[serde(default)]
    pub subshell_id: Option<String>,
}

/// A client's message, checked.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// The fields that were read of its header.
    pub header: Header,
    /// All of it, byte for byte.
    pub message: Message,
}

/// Signs what goes out and checks what comes in, with the connection file's key.
pub struct Signer {
    key: Vec<u8>,
    seen: HashSet<Vec<u8>>,
    order: VecDeque<Vec<u8>>,
}

impl Signer {
    /// With an empty `key`, messages are neither signed nor checked, as the protocol has it.
    #[must_use]
    pub fn new(key: &str) -> Self {
        Self { key: key.as_bytes().to_vec(), seen: HashSet::new(), order: VecDeque::new() }
    }

    fn mac(&self, parts: [&[u8]; 4]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        parts.iter().for_each(|part| mac.update(part));
        mac
    }

    /// The frames of a message: identities, delimiter, signature, the four parts, buffers.
    #[must_use]
    pub fn encode(&self, message: Message) -> Vec<Bytes> {
        let Message { identities, header, parent, metadata, content, buffers, channel: _ } = message;
        let signature = if self.key.is_empty() {
            String::new()
        } else {
            hex(&self.mac([&header, &parent, &metadata, &content]).finalize().into_bytes())
        };
        let body = [header, parent, metadata, content];
        let frame = |part: serde_bytes::ByteBuf| Bytes::from(part.into_vec());
        let mut frames: Vec<Bytes> = identities.into_iter().map(frame).collect();
        frames.extend([Bytes::from_static(DELIMITER), Bytes::from(signature)]);
        frames.extend(body.into_iter().chain(buffers).map(frame));
        frames
    }

    /// Takes a message apart and checks it.
    ///
    /// # Errors
    /// [`WireError`] says what is wrong with it; it is to be logged and dropped.
    pub fn decode(&mut self, channel: Channel, frames: &[Bytes]) -> Result<Incoming, WireError> {
        let split = frames.iter().position(|frame| frame == DELIMITER);
        let split = split.ok_or(WireError::NoDelimiter { frames: frames.len() })?;
        let (identities, parts) = (&frames[..split], &frames[split + 1..]);
        let [signature, header, parent, metadata, content, buffers @ ..] = parts else {
            return Err(WireError::Short { parts: parts.len() });
        };
        self.check(signature, [header, parent, metadata, content])?;
        let named =
            [(header, "header"), (parent, "parent header"), (metadata, "metadata"), (content, "content")];
        // The header too: serde reads a struct from a list of its fields as well.
        for (part, name) in named {
            object(part).ok_or(WireError::NotAnObject { part: name })?;
        }
        let steering: Header = serde_json::from_slice(header).map_err(WireError::Header)?;
        let keep = |frame: &Bytes| serde_bytes::ByteBuf::from(frame.to_vec());
        let message = Message {
            channel,
            identities: identities.iter().map(keep).collect(),
            header: keep(header),
            parent: keep(parent),
            metadata: keep(metadata),
            content: keep(content),
            buffers: buffers.iter().map(keep).collect(),
        };
        Ok(Incoming { header: steering, message })
    }

    fn check(&mut self, signature: &Bytes, parts: [&[u8]; 4]) -> Result<(), WireError> {
        if self.key.is_empty() {
            return Ok(());
        }
        let given = unhex(signature).ok_or(WireError::Signature)?;
        self.mac(parts).verify_slice(&given).map_err(|_| WireError::Signature)?;
        if !self.seen.insert(given.clone()) {
            return Err(WireError::Replayed);
        }
        self.order.push_back(given);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        Ok(())
    }
}

/// `Some` when `part` is one well-formed JSON object.
fn object(part: &[u8]) -> Option<()> {
    let raw: &serde_json::value::RawValue = serde_json::from_slice(part).ok()?;
    raw.get().starts_with('{').then_some(())
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|nibble| DIGITS[usize::from(nibble)] as char)
        .collect()
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| (byte as char).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Message {
        let part = |text: &str| serde_bytes::ByteBuf::from(text.as_bytes().to_vec());
        Message {
            channel: Channel::Shell,
            identities: vec![part("client")],
            header: part(r#"{"msg_id":"m","msg_type":"execute_request","version":"5.3","x":1}"#),
            parent: part("{}"),
            metadata: part("{}"),
            content: part(r#"{"code":"1"}"#),
            buffers: vec![part("\u{0}raw")],
        }
    }

    #[test]
    fn a_message_comes_back_byte_for_byte() {
        let frames = Signer::new("key").encode(sample());
        let got = Signer::new("key").decode(Channel::Shell, &frames).unwrap();
        assert_eq!(got.message, sample());
        assert_eq!((got.header.msg_id.as_str(), got.header.msg_type.as_str()), ("m", "execute_request"));
    }

    #[test]
    fn what_is_not_a_message_is_refused() {
        let frames = Signer::new("key").encode(sample());
        let mut signer = Signer::new("key");
        for length in 0..7 {
            assert!(signer.decode(Channel::Shell, &frames[..length]).is_err(), "{length} frames");
        }
        for spoiled in 2..7 {
            let mut frames = frames.clone();
            frames[spoiled] = Bytes::from_static(b"spoiled");
            assert!(matches!(signer.decode(Channel::Shell, &frames), Err(WireError::Signature)));
        }
        assert!(signer.decode(Channel::Shell, &frames).is_ok());
        assert!(matches!(signer.decode(Channel::Shell, &frames), Err(WireError::Replayed)));
        let mut listed = sample();
        listed.content = serde_bytes::ByteBuf::from(b"[1]".to_vec());
        let frames = signer.encode(listed);
        assert!(matches!(
            signer.decode(Channel::Shell, &frames),
            Err(WireError::NotAnObject { part: "content" })
        ));
    }

    #[test]
    fn without_a_key_nothing_is_signed() {
        let frames = Signer::new("").encode(sample());
        assert!(frames[2].is_empty());
        let mut signer = Signer::new("");
        assert!(signer.decode(Channel::Shell, &frames).is_ok());
        assert!(signer.decode(Channel::Shell, &frames).is_ok());
    }
}
