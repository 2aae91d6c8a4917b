//! What a session takes in, and what it gives back to be done.

use fabric::message::client::{Ask, Told};
use fabric::message::local::{FromLocal, Message, ToLocal};

use crate::clients::{self, ClientId};
use crate::cluster::{self, FromHub, SetId, ToHub};
use crate::wire::Incoming;

/// Everything that can happen.
#[derive(Debug)]
pub enum Event {
    /// A client asked for something, or answered a request for input.
    Request(Incoming),
    /// The local process said something.
    Local(FromLocal),
    /// The local process has ended.
    LocalGone {
        /// "was killed by signal 11 (SIGSEGV)"
        how: String,
        /// The tail of its standard error.
        last_words: String,
        /// Which line of its cell ran, from 1.
        line: Option<usize>,
    },
    /// A client with a socket of its own asks for something.
    Client {
        /// Who.
        client: ClientId,
        /// What.
        ask: Ask,
    },
    /// A client with a socket of its own has gone.
    ClientGone {
        /// Who.
        client: ClientId,
    },
    /// Something happened to a set of engines.
    Engines {
        /// Which set.
        set: SetId,
        /// What.
        event: cluster::Event,
    },
    /// It is known what a set that is being started will be.
    Launched(SetId, cluster::Terms),
    /// Something comes from the hub whose engines the kernel is attached to.
    Hub(FromHub),
    /// The hub tells the notebook's own Python something.
    Relayed(Told),
    /// The connection on which it does has ended.
    RelayGone {
        /// A sentence for the user.
        reason: String,
    },
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

/// Everything the session can want done, in order.
#[derive(Debug)]
pub enum Effect {
    /// Sign a message and send it on its channel.
    Send(Message),
    /// Say something to the local process.
    Local(ToLocal),
    /// Start a local process.
    StartLocal,
    /// Something for the engines' processes.
    Engines(cluster::Effect),
    /// Something for the hub whose engines the kernel is attached to.
    Hub(ToHub),
    /// The notebook's own Python asks the hub for something, on a connection that is its own.
    Relay(Ask),
    /// The notebook's own Python has gone, and its connection to the hub with it.
    RelayLeaves,
    /// Something for those who use the client API.
    Clients(clients::Effect),
    /// Write out what was sent, then end.
    Exit,
}
