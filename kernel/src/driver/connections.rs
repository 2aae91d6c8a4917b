//! The connections of a set's processes, each from its hello to its end.
//!
//! **Invariant**: every connection's peer is this user, and nothing of it is passed on before it has said who it is.

use std::sync::Arc;

use fabric::message::lifeline::{FromSupervisor, FromWorker, Hello, Role};
use fabric::message::task::FromGateway;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::Sender;

use super::Input;
use super::halves;
use super::leftovers::Leftovers;
use super::link::{Link, Reader};
use crate::backlog::Backlog;
use crate::cluster::{Event, LinkId, SetId};

/// Takes connections for as long as the set is there.
pub(super) async fn listen(
    set: SetId,
    listener: UnixListener,
    inputs: Sender<Input>,
    backlog: Arc<Backlog>,
    leftovers: Arc<Leftovers>,
) {
    for id in 0.. {
        match listener.accept().await {
            Ok((stream, _)) if is_this_user(&stream) => {
                let (inputs, backlog, leftovers) =
                    (inputs.clone(), Arc::clone(&backlog), Arc::clone(&leftovers));
                tokio::spawn(async move {
                    converse(set, id, stream, inputs, backlog).await;
                    // The process at the other end has gone.
                    drop(leftovers);
                });
            }
            Ok(_) => tracing::warn!("another user's process connected to the engine socket: refused"),
            Err(error) => {
                tracing::warn!("an engine could not connect: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
    }
}

/// Whether the process at the other end is this user's.
pub(super) fn is_this_user(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == rustix::process::getuid().as_raw())
}

/// One connection from its hello to its end.
async fn converse(
    set: SetId,
    link: LinkId,
    stream: UnixStream,
    inputs: Sender<Input>,
    backlog: Arc<Backlog>,
) {
    let (reading, writing) = match halves::split(stream) {
        Ok(halves) => halves,
        Err(error) => return tracing::warn!("an engine could not connect: {error}"),
    };
    let mut reader = Reader::new(reading);
    let hello = match reader.next::<Hello>().await {
        Ok(Some(hello)) => hello,
        Ok(None) => return,
        Err(error) => return tracing::warn!("a connection to the engine socket was refused: {error:#}"),
    };
    let role = hello.role.clone();
    drop(inputs.send(Input::Linked(set, link, Link::start(writing))).await);
    drop(inputs.send(Input::engines(set, Event::Hello { link, hello })).await);
    let read = match role {
        Role::Supervisor { .. } => {
            let paced = |_: &FromSupervisor| None;
            pass_on(&mut reader, set, &inputs, paced, Event::Supervisor).await
        }
        // Output comes this way; and that way, when this one is closed.
        Role::Gateway => {
            let paced = |_: &FromGateway<'static>| Some(&*backlog);
            pass_on(&mut reader, set, &inputs, paced, Event::Gateway).await
        }
        Role::Worker(_) => {
            let paced = |said: &FromWorker| matches!(said, FromWorker::Report(_)).then_some(&*backlog);
            pass_on(&mut reader, set, &inputs, paced, |said| Event::Worker { link, said }).await
        }
    };
    if let Err(error) = read {
        tracing::warn!("an engine's link: {error:#}");
    }
    drop(inputs.send(Input::engines(set, Event::Closed { link })).await);
}

/// Passes on what a process says; what is `paced` waits for room among what waits for the clients.
async fn pass_on<'a, T: serde::de::DeserializeOwned>(
    reader: &mut Reader,
    set: SetId,
    inputs: &Sender<Input>,
    paced: impl Fn(&T) -> Option<&'a Backlog>,
    event: impl Fn(T) -> Event,
) -> anyhow::Result<()> {
    while let Some(said) = reader.next().await? {
        if let Some(backlog) = paced(&said) {
            backlog.room().await;
        }
        if inputs.send(Input::engines(set, event(said))).await.is_err() {
            break;
        }
    }
    Ok(())
}
