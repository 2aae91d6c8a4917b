//! A set of engines without a notebook: the cluster core and those who use it, and nothing of Jupyter.
//!
//! **Invariant**: as [`crate::session`], no I/O and no clock: events and the time come in, effects go out. Engines
//! that a client stopped are started again for the next one who wants some; only the owner ends the hub.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use fabric::message::client::Ask;
use fabric::message::report::Event as Report;

use crate::clients::{self, ClientId, Clients, Core, NOBODY};
use crate::cluster::{self, Cluster, Notice, Phase, SetId, Terms};

/// How long the engines may take to end. The launcher ends what is left.
const FAREWELL: Duration = Duration::from_secs(2);

/// Everything that can happen.
#[derive(Debug)]
pub enum Event {
    /// A client asks for something.
    Asked(ClientId, Ask),
    /// A client has gone.
    Left(ClientId),
    /// Something happened to a set of engines.
    Engines(SetId, cluster::Event),
    /// A set that is being started will have this many engines; what a person should know of them.
    Launched(SetId, Terms),
    /// The owner wants it to end.
    Terminated,
}

/// Everything that can be wanted done, in order.
#[derive(Debug)]
pub enum Effect {
    /// Something for the engines' processes.
    Engines(cluster::Effect),
    /// Something for the clients.
    Clients(clients::Effect),
    /// The engines are in another phase.
    Phase,
    /// It has ended.
    Exit,
}

/// See the module.
#[derive(Debug)]
pub struct Hub {
    cluster: Cluster,
    clients: Clients,
    notices: VecDeque<Notice>,
    effects: Vec<Effect>,
    ending: Option<Instant>,
}

impl Hub {
    /// `id` names it among all; `epoch` is what the clock says at `now`, in seconds since the epoch.
    #[must_use]
    pub fn new(id: &str, now: Instant, epoch: f64) -> Self {
        let mut clients = Clients::new(id);
        clients.set_clock(now, epoch);
        Self {
            cluster: Cluster::headless(),
            clients,
            notices: VecDeque::new(),
            effects: Vec::new(),
            ending: None,
        }
    }

    /// Starts the engines.
    pub fn begin(&mut self, now: Instant) -> Vec<Effect> {
        self.act(now, |_, core| core.cluster.start(None, core.now, core.out));
        self.settle(now)
    }

    /// The phase of the engines, and how many live.
    #[must_use]
    pub fn phase(&self) -> (&Phase, usize) {
        (self.cluster.phase(), self.cluster.engines().filter(|engine| engine.lives()).count())
    }

    /// Takes in one thing that happened.
    pub fn on(&mut self, event: Event, now: Instant) -> Vec<Effect> {
        match event {
            Event::Asked(client, ask) => self.act(now, |clients, core| clients.ask(client, ask, core)),
            Event::Left(client) => self.act(now, |clients, core| clients.leave(client, core)),
            Event::Engines(set, event) => {
                self.act(now, |_, core| core.cluster.on(set, event, core.now, core.out))
            }
            Event::Launched(set, terms) => self.cluster.launched(set, terms),
            Event::Terminated if self.ending.is_none() => {
                self.ending = Some(now + FAREWELL);
                self.act(now, |_, core| core.cluster.stop(core.out));
            }
            Event::Terminated => {}
        }
        self.settle(now)
    }

    /// When [`Hub::tick`] is wanted next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let core = self.cluster.deadline().into_iter().chain(self.clients.deadline());
        core.chain(self.ending).min()
    }

    /// Does what has become due.
    pub fn tick(&mut self, now: Instant) -> Vec<Effect> {
        self.act(now, |clients, core| {
            core.cluster.tick(core.now, core.out);
            clients.tick(core);
        });
        self.settle(now)
    }

    fn act(&mut self, now: Instant, act: impl FnOnce(&mut Clients, &mut Core<'_>)) {
        let mut output = cluster::Output::default();
        act(&mut self.clients, &mut Core { cluster: &mut self.cluster, out: &mut output, now });
        self.effects.extend(output.effects.into_iter().map(Effect::Engines));
        self.effects.extend(self.clients.effects().into_iter().map(Effect::Clients));
        self.notices.extend(output.notices);
    }

    fn settle(&mut self, now: Instant) -> Vec<Effect> {
        while let Some(notice) = self.notices.pop_front() {
            if matches!(notice, Notice::Phase) {
                self.effects.push(Effect::Phase);
            }
            self.act(now, |clients, core| match notice {
                Notice::Report { task, rank, event: event @ Report::Ask { question, .. } } => {
                    if !clients.pass_on(task, rank, &event) {
                        core.cluster.answer(rank, question, Err(NOBODY.to_owned()), core.out);
                    }
                }
                notice => drop(clients.notice(notice, core)),
            });
        }
        if let Some(deadline) = self.ending {
            let stopping = matches!(self.cluster.phase(), Phase::Stopping { .. });
            if now >= deadline || !stopping {
                self.effects.push(Effect::Exit);
            }
        }
        std::mem::take(&mut self.effects)
    }
}

#[cfg(test)]
mod tests;
