//! The local process: started, spoken to, waited for.

use std::sync::Arc;

use fabric::message::local::{Channel, FromLocal, Message, ToLocal};
use tokio::sync::mpsc::Sender;

use super::child;
use super::link::{Link, Reader};
use super::place::Place;
use super::python::Python;
use crate::backlog::Backlog;
use crate::session::Event;

/// The link to the current local process, if there is one.
#[derive(Debug, Default)]
pub(super) struct LocalProcess {
    link: Option<Link>,
}

impl LocalProcess {
    /// Starts a local process; what it says goes to `events` (its link's reader → session loop).
    pub(super) fn start(
        &mut self,
        python: &Python,
        setup: &ToLocal,
        events: &Sender<Event>,
        backlog: &Arc<Backlog>,
    ) -> anyhow::Result<()> {
        let engine = child::beside("parallel-python-engine")?;
        let python_path = python.executable.to_string_lossy();
        let libpython = python.libpython.as_ref().map(|path| path.to_string_lossy());
        let mut arguments = vec!["local", "--python", &python_path];
        if let Some(libpython) = &libpython {
            arguments.extend(["--libpython", libpython]);
        }
        let (place, theirs) = Place::new()?;
        let (process, link, reader) = child::spawn(&engine, &arguments, Some(theirs))?;
        link.send(setup);
        self.link = Some(link);
        tokio::spawn(listen(process, place, reader, events.clone(), Arc::clone(backlog)));
        Ok(())
    }

    /// Says something to it; without one nothing happens.
    pub(super) fn send(&self, message: &ToLocal) {
        if let Some(link) = &self.link {
            link.send(message);
        }
    }
}

/// Passes on all it says, and then how it ended: in this order, so that its last output is not lost.
async fn listen(
    process: tokio::process::Child,
    place: Place,
    mut reader: Reader,
    events: Sender<Event>,
    backlog: Arc<Backlog>,
) {
    let ending = tokio::spawn(child::wait(process));
    loop {
        let said = match reader.next::<FromLocal>().await {
            Ok(Some(said)) => said,
            Ok(None) => break,
            Err(error) => {
                tracing::error!("the local process's link: {error:#}");
                break;
            }
        };
        if is_output(&said) {
            backlog.room().await;
        }
        if events.send(Event::Local(said)).await.is_err() {
            return;
        }
    }
    let (how, last_words) = ending.await.unwrap_or_default();
    drop(events.send(Event::LocalGone { how, last_words, line: place.line() }).await);
}

fn is_output(said: &FromLocal) -> bool {
    matches!(said, FromLocal::Stream { .. } | FromLocal::Message(Message { channel: Channel::Iopub, .. }))
}
