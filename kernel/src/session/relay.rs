//! The client API of a notebook whose engines are another process's: what the notebook's own Python asks goes on to
//! the hub, on a connection of its own, and what the hub tells comes back. Neither is looked into, but for what only
//! this kernel can do: put an engine's question to the person, show an engine's widget.
//!
//! **Invariant**: whatever Python asked is answered, and every task of its comes to an end, also when there is no hub
//! or the connection to it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use fabric::message::client::{Ask, Caller, Told};
use fabric::message::local::ToLocal;
use fabric::message::report::{Event, Raised};
use fabric::message::task::TaskId;

use super::{Desk, Effect, Session};
use crate::cluster::{Hub, Phase};

/// Numbers of tasks that have only names here begin above those of the kernel's own.
const FIRST: TaskId = 1 << 62;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Relay {
    /// What waits for the hub to be found.
    waiting: Vec<Ask>,
    /// Python wants to know of the engines.
    opened: bool,
    /// It was told that there is no hub, and is to know of the next one's.
    reopens: bool,
    /// The last change of the engines that Python was told of. The hub tells of each on both connections: Python is
    /// to know of it before the kernel's next cell ends, and before its own next answer.
    change: Option<u64>,
    /// The questions that have no answer.
    asks: BTreeSet<u64>,
    /// The tasks that have not ended.
    tasks: BTreeSet<String>,
    /// Those of them that have asked the person something, by the numbers under which their questions stand.
    asking: BTreeMap<String, TaskId>,
    last: TaskId,
}

impl Relay {
    /// Python asks for something.
    pub(super) fn ask(&mut self, mut ask: Ask, desk: &mut Desk, now: Instant) {
        if let Ask::Submit { submissions } = &mut ask {
            submissions.iter_mut().for_each(|one| one.caller = Caller::Notebook);
        }
        match desk.cluster.hub() {
            Some(Hub::Joined) => self.pass_on(ask, desk),
            // What is only said, not asked, is not worth a look for the hub.
            _ if matches!(ask, Ask::Forget { .. } | Ask::Interrupt { .. } | Ask::Input { .. }) => {}
            _ => {
                self.waiting.push(ask);
                if desk.cluster.hub() == Some(Hub::Away) {
                    desk.cluster(|cluster, out| cluster.start(None, now, out));
                }
            }
        }
    }

    /// It stands otherwise with the hub, or with its engines.
    pub(super) fn follow(&mut self, desk: &mut Desk) {
        match desk.cluster.hub() {
            Some(Hub::Joined) => {
                if std::mem::take(&mut self.reopens) {
                    self.pass_on(Ask::Open, desk);
                }
                for ask in std::mem::take(&mut self.waiting) {
                    self.pass_on(ask, desk);
                }
            }
            Some(Hub::Away) if !self.waiting.is_empty() => {
                let reason = match desk.cluster.phase() {
                    Phase::Failed { reason } => reason.clone(),
                    _ => "the engines were stopped".to_owned(),
                };
                self.end(&reason, desk);
            }
            _ => {}
        }
    }

    /// The notebook's own Python has gone.
    pub(super) fn leave(&mut self, desk: &mut Desk) {
        if desk.cluster.hub().is_some() {
            *self = Self { last: self.last, ..Self::default() };
            desk.effects.push(Effect::RelayLeaves);
        }
    }

    /// There is no hub, or no connection to it any more: everything ends that waits for it.
    pub(super) fn end(&mut self, reason: &str, desk: &mut Desk) {
        for ask in std::mem::take(&mut self.waiting) {
            self.note(&ask);
        }
        let mut tell = |told| desk.effects.push(Effect::Local(ToLocal::Client(told)));
        if self.opened {
            self.reopens = true;
            let (phase, reason) = ("failed".to_owned(), reason.to_owned());
            tell(Told::Engines { change: 0, phase, reason, caution: None, engines: Vec::new() });
            self.change = None;
        }
        for ask in std::mem::take(&mut self.asks) {
            let (ename, evalue) = ("EngineError".to_owned(), reason.to_owned());
            tell(Told::Answer { ask, answer: Err(Raised { ename, evalue, traceback: Vec::new() }) });
        }
        for name in std::mem::take(&mut self.tasks) {
            tell(Told::Refused { name, ename: "EngineError".to_owned(), why: reason.to_owned() });
        }
        self.asking.clear();
    }

    fn pass_on(&mut self, ask: Ask, desk: &mut Desk) {
        self.note(&ask);
        desk.effects.push(Effect::Relay(ask));
    }

    /// Takes note of what waits for an answer from now on.
    fn note(&mut self, ask: &Ask) {
        match ask {
            Ask::Open => (self.opened, self.change) = (true, None),
            Ask::Submit { submissions } => {
                self.tasks.extend(submissions.iter().map(|submission| submission.name.clone()));
            }
            Ask::Recall { ask, names } => {
                self.asks.insert(*ask);
                self.tasks.extend(names.iter().cloned());
            }
            Ask::Abort { ask, .. }
            | Ask::Signal { ask, .. }
            | Ask::Engines { ask, .. }
            | Ask::Enquire { ask, .. }
            | Ask::Query { ask, .. } => drop(self.asks.insert(*ask)),
            Ask::Interrupt { .. } | Ask::Input { .. } | Ask::Forget { .. } => {}
        }
    }

    /// Takes note of what has an answer now.
    fn settle(&mut self, told: &Told) {
        match told {
            Told::Answer { ask, .. } => drop(self.asks.remove(ask)),
            Told::Over { name } | Told::Refused { name, .. } => {
                self.tasks.remove(name);
                self.asking.remove(name);
            }
            Told::Engines { .. } | Told::Report { .. } | Told::Lost { .. } => {}
        }
    }

    /// The hub tells of the engines; whether Python is to be told, and has not been.
    fn is_news(&mut self, change: u64) -> bool {
        let news = self.opened && self.change.is_none_or(|known| change > known);
        if news {
            self.change = Some(change);
        }
        news
    }

    fn number(&mut self, name: &str) -> TaskId {
        *self.asking.entry(name.to_owned()).or_insert_with(|| {
            self.last += 1;
            FIRST + self.last
        })
    }
}

impl Session {
    /// The hub tells the kernel of its engines: Python is told at once.
    pub(super) fn relay_engines(&mut self, told: &Told) {
        if let Told::Engines { change, .. } = told
            && self.relay.is_news(*change)
        {
            self.desk.effects.push(Effect::Local(ToLocal::Client(told.clone())));
        }
    }

    /// The hub tells the notebook's own Python something.
    pub(super) fn relayed(&mut self, told: Told, now: Instant) {
        self.relay.settle(&told);
        let told = match told {
            Told::Report { name, rank, event: Event::Ask { question, prompt, password } } => {
                let task = self.relay.number(&name);
                return self.engine_asks(task, rank, question, prompt, password, now);
            }
            Told::Report { name, rank, event } => {
                if let (Event::Done { .. }, Some(task)) = (&event, self.relay.asking.get(&name)) {
                    self.asks_no_more(*task, rank, now);
                }
                let Some(event) = self.note_relayed_comm(rank, event) else { return };
                Told::Report { name, rank, event }
            }
            Told::Lost { name, rank, why, lives } => {
                if let Some(task) = self.relay.asking.get(&name) {
                    self.asks_no_more(*task, rank, now);
                }
                Told::Lost { name, rank, why, lives }
            }
            Told::Engines { .. } => return self.relay_engines(&told),
            told => told,
        };
        self.desk.effects.push(Effect::Local(ToLocal::Client(told)));
    }
}
