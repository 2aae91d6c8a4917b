//! The loop of a set of engines without a notebook: what [`super::run`] is to the session, this is to the
//! [`Hub`].

use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::clients::{Connected, Door};
use super::engines::{Engines, Settings};
use super::files::Files;
use super::python::Python;
use super::registry;
use super::{Input, Signals, WAITING, epoch, until};
use crate::backlog::Backlog;
use crate::clients;
use crate::cluster::Phase;
use crate::hub::{Effect, Event, Hub};
use crate::session;

/// What a set of engines is to be.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The name under which it is found.
    pub(crate) profile: String,
    /// The Python to be.
    pub(crate) python: std::path::PathBuf,
    /// The user's `mpiexec` with arguments, if one was named.
    pub(crate) mpiexec: Option<Vec<String>>,
    /// How many engines.
    pub(crate) size: u32,
    /// Whether it ends with whoever holds the other end of its standard input.
    pub(crate) owned: bool,
}

/// Runs a set of engines until it is told to end. `said` is called with each phase of theirs.
///
/// # Errors
/// When it cannot start, or the engines cannot.
pub(crate) async fn serve(plan: Plan, mut said: impl FnMut(&Phase, usize)) -> anyhow::Result<()> {
    super::limits::allow_many_files();
    let mut signals = Signals::listen()?;
    let python = Python::ask(&plan.python).await.map_err(anyhow::Error::msg)?;
    let (inputs, mut waiting) = mpsc::channel(WAITING); // clients, engine links, launcher → loop
    let settings = Settings {
        python,
        mpiexec: plan.mpiexec,
        size: plan.size,
        again: "`parallel-python engines start`",
        backlog: std::sync::Arc::new(Backlog::default()),
    };
    let mut door = Door::open(&inputs, plan.profile, registry::HEADLESS, plan.size)?;
    let mut gone = std::pin::pin!(owner_gone(plan.owned));
    let (mut connected, mut engines, mut files) =
        (Connected::default(), Engines::new(door.files()), Files::default());
    let mut hub = Hub::new(&uuid::Uuid::new_v4().to_string(), Instant::now(), epoch());
    let mut effects = hub.begin(Instant::now());
    let (mut was_up, mut ended) = (false, false);
    loop {
        for effect in effects.drain(..) {
            match effect {
                Effect::Engines(effect) => engines.perform(effect, &settings, &inputs),
                Effect::Clients(clients::Effect::Tell(client, told)) => connected.tell(client, &told),
                Effect::Clients(clients::Effect::Close(unused)) => files.close(&unused),
                Effect::Phase => {
                    let (phase, living) = hub.phase();
                    said(phase, living);
                    was_up |= matches!(phase, Phase::Up);
                    if let (Phase::Failed { reason }, false) = (phase, was_up) {
                        anyhow::bail!("{reason}");
                    }
                }
                Effect::Exit => return Ok(()),
            }
        }
        let deadline = hub.deadline();
        let input = tokio::select! {
            Some(input) = waiting.recv() => Some(input),
            _ = signals.next() => Some(Input::Event(session::Event::Terminated)),
            () = &mut gone, if !ended => {
                ended = true;
                Some(Input::Event(session::Event::Terminated))
            }
            () = until(deadline) => None,
        };
        let now = Instant::now();
        effects = match input {
            Some(Input::Asked(client, mut ask)) => {
                files.adopt_ask(&mut ask);
                hub.on(Event::Asked(client, ask), now)
            }
            Some(Input::Joined(client, peer)) => {
                connected.joined(client, peer);
                Vec::new()
            }
            Some(Input::Left(client)) => {
                connected.left(client);
                hub.on(Event::Left(client), now)
            }
            Some(Input::Event(session::Event::Engines { set, .. })) if !engines.is_current(set) => Vec::new(),
            Some(Input::Event(session::Event::Engines { set, mut event })) => {
                let released = files.adopt_event(&mut event);
                let mut effects = hub.on(Event::Engines(set, event), now);
                if let Some(released) = released {
                    effects.extend(hub.on(Event::Engines(set, released), now));
                }
                effects
            }
            Some(Input::Event(session::Event::Terminated)) => hub.on(Event::Terminated, now),
            // The rest is a notebook's.
            Some(Input::Event(_) | Input::Hub(..)) => Vec::new(),
            Some(Input::Linked(set, id, link)) => {
                engines.linked(set, id, link);
                Vec::new()
            }
            Some(Input::Launched(set, launched)) => {
                let terms = launched.terms.clone();
                door.resize(terms.size);
                engines.launched(set, launched);
                hub.on(Event::Launched(set, terms), now)
            }
            None => hub.tick(now),
        };
    }
}

/// Returns at the end of standard input, where that is the owner's; else never.
async fn owner_gone(owned: bool) {
    if owned {
        let (tell, told) = oneshot::channel();
        let watch = move || {
            drop(std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
            let _: Result<(), ()> = tell.send(());
        };
        if std::thread::Builder::new().name("owner".to_owned()).spawn(watch).is_ok() && told.await.is_ok() {
            return;
        }
    }
    std::future::pending().await
}
