//! The set of engines that is launched or there, on the operating system's side: what the cluster wants done with
//! its launcher and its links.
//!
//! **Invariant**: what comes from or goes to a set that is over reaches nobody.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use fabric::message::launcher::ToLauncher;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;

use super::Input;
use super::launch::{Launched, launch};
use super::leftovers::Leftovers;
use super::link::Link;
use super::logs;
use super::python::Python;
use crate::backlog::Backlog;
use crate::cluster::{Effect, Event, LinkId, SetId};

/// What does not change from one launch to the next.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// The Python that engines are to be.
    pub python: Python,
    /// The user's `mpiexec` with arguments, if one was named.
    pub mpiexec: Option<Vec<String>>,
    /// How many engines when nobody says.
    pub size: u32,
    /// How a person starts them again who has put right what was wrong.
    pub again: &'static str,
    /// What waits for the clients: engines' output waits for it.
    pub backlog: Arc<Backlog>,
}

/// The current set's launcher and links.
#[derive(Debug, Default)]
pub(super) struct Engines {
    /// The set that is launched or there.
    set: Option<SetId>,
    links: HashMap<LinkId, Link>,
    launcher: Option<Link>,
    /// What the launcher is to be told as soon as there is one.
    untold: Vec<ToLauncher>,
    leftovers: Option<Arc<Leftovers>>,
    /// The runtime folder.
    runtime: PathBuf,
    /// What launchers remove in place of this process, if it dies.
    bequest: Vec<PathBuf>,
    tasks: Vec<JoinHandle<()>>,
}

impl Engines {
    /// No engines yet; these files are to go with this process, however it ends.
    pub(super) fn new(bequest: Vec<PathBuf>) -> Self {
        Self { bequest, ..Self::default() }
    }

    /// Whether what comes from this set still concerns anybody.
    pub(super) fn is_current(&self, set: SetId) -> bool {
        self.set == Some(set)
    }

    /// This set is the one that is wanted; what becomes of any other concerns nobody.
    pub(super) fn expect(&mut self, set: SetId) {
        self.set = Some(set);
    }

    /// Does what the cluster wants done.
    pub(super) fn perform(&mut self, effect: Effect, settings: &Settings, inputs: &Sender<Input>) {
        match effect {
            Effect::Launch { set, size } => {
                self.expect(set);
                let (settings, inputs) = (settings.clone(), inputs.clone());
                tokio::spawn(async move {
                    if let Err(error) = launch(set, size, &settings, &inputs).await {
                        let event = Event::LaunchFailed { reason: format!("{error:#}") };
                        drop(inputs.send(Input::engines(set, event)).await);
                    }
                });
            }
            Effect::Gateway(link, message) => self.send(link, &message),
            Effect::Worker(link, message) => self.send(link, &message),
            Effect::Supervisor(link, message) => self.send(link, &message),
            Effect::Launcher(message) => match &self.launcher {
                Some(launcher) => launcher.send(&message),
                None => self.untold.push(message),
            },
            Effect::Logs { set, ranks } => {
                let (runtime, inputs) = (self.runtime.clone(), inputs.clone());
                tokio::spawn(async move {
                    let event = Event::Logs(logs::of(&runtime, &ranks));
                    drop(inputs.send(Input::engines(set, event)).await);
                });
            }
            Effect::Release(_) => self.release(),
        }
    }

    /// A connection of set `set` has said who it is.
    pub(super) fn linked(&mut self, set: SetId, id: LinkId, link: Link) {
        if self.is_current(set) {
            self.links.insert(id, link);
        }
    }

    /// Set `set` has a launcher and a socket.
    pub(super) fn launched(&mut self, set: SetId, launched: Launched) {
        if self.is_current(set) {
            launched.launcher.send(&ToLauncher::Inherit(self.bequest.clone()));
            self.untold.drain(..).for_each(|message| launched.launcher.send(&message));
            self.launcher = Some(launched.launcher);
            self.leftovers = Some(launched.leftovers);
            self.runtime = launched.runtime;
            self.tasks.push(launched.listening);
        } else {
            launched.listening.abort();
        }
    }

    fn send<T: serde::Serialize>(&self, link: LinkId, message: &T) {
        if let Some(link) = self.links.get(&link) {
            link.send(message);
        }
    }

    /// Closes every connection; for the launcher that means: end what is left.
    fn release(&mut self) {
        self.set = None;
        self.links.clear();
        self.untold.clear();
        self.launcher = None;
        self.leftovers = None;
        self.tasks.drain(..).for_each(|task| task.abort());
    }
}
