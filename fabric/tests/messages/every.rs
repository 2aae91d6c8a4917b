//! Every type that is sent, and what must hold for each. Shared with the fuzz target.

use std::fmt::Debug;

use fabric::frame::{pack, unpack};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::invent::invent;

/// What all messages can do.
pub(crate) trait Message: Serialize + DeserializeOwned + Debug {}

impl<T: Serialize + DeserializeOwned + Debug> Message for T {}

/// Something that must hold for every type.
pub(crate) trait Check {
    /// Panics when it does not.
    fn check<T: Message>(&mut self, name: &str);
}

macro_rules! messages {
    ($($module:ident $name:ident;)*) => {
        /// Checks every type.
        pub(crate) fn every_message(check: &mut impl Check) {
            $(check.check::<fabric::message::$module::$name>(stringify!($name));)*
        }
    };
}

messages! {
    client ClientHello;
    client Ask;
    client EnginesAction;
    client Forgotten;
    client Query;
    client Submission;
    client Caller;
    client Placement;
    client Dependency;
    client Told;
    client EngineInfo;
    launcher ToLauncher;
    launcher FromLauncher;
    launcher Zygote;
    lifeline Hello;
    lifeline Role;
    lifeline WorkerHello;
    lifeline Door;
    lifeline FromWorker;
    lifeline ToWorker;
    lifeline Question;
    lifeline Status;
    lifeline FromSupervisor;
    lifeline ToSupervisor;
    lifeline Ending;
    local Message;
    local Channel;
    local MagicSpec;
    local ToLocal;
    local Answer;
    local ViewChange;
    local Found;
    local FromLocal;
    payload Payload;
    payload Blob;
    payload Shared;
    report Report;
    report Event;
    report StreamName;
    report Outcome;
    report Raised;
    task Task;
    task Work;
    task ToGateway;
    task FromGateway;
    task Piece;
    task Packet;
    zygote Order;
    zygote FromZygote;
}

/// These bytes decode or do not; what decodes is a message like any other.
pub(crate) struct Total<'a>(pub(crate) &'a [u8]);

impl Check for Total<'_> {
    fn check<T: Message>(&mut self, name: &str) {
        if let Ok(message) = unpack::<T>(self.0) {
            comes_back(&message, name);
        }
    }
}

/// The message that these bytes stand for comes back as it was.
pub(crate) struct RoundTrip<'a>(pub(crate) &'a [u8]);

impl Check for RoundTrip<'_> {
    fn check<T: Message>(&mut self, name: &str) {
        comes_back(&invent::<T>(self.0), name);
    }
}

/// The message that these bytes stand for, with one byte changed, decodes or does not.
pub(crate) struct Damaged<'a> {
    /// What the message is made from.
    pub(crate) bytes: &'a [u8],
    /// Which byte is changed.
    pub(crate) at: usize,
    /// What to.
    pub(crate) other: u8,
}

impl Check for Damaged<'_> {
    fn check<T: Message>(&mut self, name: &str) {
        let mut packed = pack(&invent::<T>(self.bytes)).expect("a message can be encoded");
        if let Some(byte) = packed.get_mut(self.at) {
            *byte = self.other;
        }
        Total(&packed).check::<T>(name);
    }
}

/// Encodings are compared, because a number that is none is not equal to itself.
fn comes_back<T: Message>(message: &T, name: &str) {
    let packed = pack(message).unwrap_or_else(|error| panic!("{name} cannot be encoded: {error}"));
    let back: T =
        unpack(&packed).unwrap_or_else(|error| panic!("{name} does not come back: {error}\n{message:?}"));
    assert_eq!(pack(&back).ok(), Some(packed), "{name} comes back changed: {message:?}");
}
