//! Connections that do not keep to ZMTP: what they did is logged, and nobody else notices.
//!
//! **Invariant**: an error of one connection never ends or delays the others. What breaks the protocol is a
//! warning; a client that merely went away is not.

use std::error::Error as _;
use std::time::Duration;

use futures::StreamExt;
use zeromq::{Socket, SocketEvent, ZmqError};

/// Keeps an error that does not go away from spinning.
const PAUSE: Duration = Duration::from_millis(10);

/// After an error of `recv`. That of a connection is over with it.
pub(super) async fn after(port: &str, error: &ZmqError) {
    match error {
        ZmqError::Codec(_) | ZmqError::Other(_) => note(port, error),
        _ => {
            tracing::debug!(port, "a client's connection failed: {error}");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Logs the connections that fail before they are one, as long as the socket lives.
pub(super) fn watch(port: &'static str, socket: &mut impl Socket) {
    let mut happenings = socket.monitor();
    tokio::spawn(async move {
        while let Some(happening) = happenings.next().await {
            if let SocketEvent::AcceptFailed(error) = happening {
                note(port, &error);
            }
        }
    });
}

/// Logs what a connection did wrong.
pub(super) fn note(port: &str, error: &ZmqError) {
    // The cause is an error of the operating system when the other end hung up.
    match error {
        ZmqError::Codec(wrong) if wrong.source().is_none() => {
            tracing::warn!(port, "a connection that does not speak ZMTP was closed: {error}");
        }
        _ => tracing::debug!(port, "a connection ended: {error}"),
    }
}
