//! The cluster core: which engines there are, what each of them runs, and what became of those that
//! died. No Jupyter in it and no I/O: events and the time come in, effects and notices go out, so
//! that a notebook's kernel and a headless set of engines can hold the same thing.
//!
//! The engines are its own ([`own`]: launched, linked, ended here) or those of another process that it is attached to
//! ([`attached`]: a hub, whose cluster this one mirrors). Whoever holds a cluster sees no difference but in
//! [`Cluster::hub`].
//!
//! ```text
//!        launch            every rank said hello            stop, restart
//!  Off ─────────► Launching ───────────────────► Up ────────────────────► Stopping ─► Off | Launching
//!                     └────► Failed(reason) ◄─────┘ the launcher ended by itself
//! ```
//!
//! **Invariant**: a task ends exactly once, by [`Notice::Over`], whatever happens to its engines.

mod account;
mod attached;
mod engine;
mod event;
mod flight;
mod launch;
mod own;
mod reach;
#[cfg(test)]
pub(crate) mod sample;

use std::collections::BTreeSet;
use std::time::Instant;

use fabric::message::Rank;
use fabric::message::lifeline::Question;
use fabric::message::task::{TaskId, Work};

use attached::Attached;
pub use attached::{FromHub, Hub, ToHub};
pub(crate) use engine::describe;
pub use engine::{Engine, State, listed, named};
pub use event::{Effect, Event, LinkId, Notice, Output, Running, SetId};
pub(crate) use flight::AFTER_A_DEATH;
use flight::Flight;
pub use launch::{Phase, Terms};
use own::Own;

/// The engines and their tasks.
#[derive(Debug)]
pub enum Cluster {
    /// Engines of its own.
    Own(Own),
    /// Those of another process.
    Attached(Attached),
}

impl Default for Cluster {
    fn default() -> Self {
        Cluster::Own(Own::default())
    }
}

/// The same call of either.
macro_rules! either {
    ($cluster:ident, $one:ident => $call:expr) => {
        match $cluster {
            Cluster::Own($one) => $call,
            Cluster::Attached($one) => $call,
        }
    };
}

impl Cluster {
    /// One of engines without a notebook.
    #[must_use]
    pub fn headless() -> Self {
        Cluster::Own(Own::headless())
    }

    /// One that uses the engines of `profile`, for the kernel that is named so among all.
    #[must_use]
    pub fn attached(profile: &str, kernel: &str) -> Self {
        Cluster::Attached(Attached::new(profile, kernel))
    }

    /// How it stands with the hub that it is attached to; `None` when the engines are its own.
    #[must_use]
    pub fn hub(&self) -> Option<Hub> {
        match self {
            Cluster::Own(_) => None,
            Cluster::Attached(attached) => Some(attached.hub()),
        }
    }

    /// The profile of the engines that it is attached to.
    #[must_use]
    pub fn profile(&self) -> Option<&str> {
        match self {
            Cluster::Own(_) => None,
            Cluster::Attached(attached) => Some(attached.profile()),
        }
    }

    /// The phase the set of engines is in.
    #[must_use]
    pub fn phase(&self) -> &Phase {
        either!(self, one => one.phase())
    }

    /// Whether who needs engines has them started: they are off, or a look whether they are there costs nothing.
    #[must_use]
    pub fn starts_on_demand(&self) -> bool {
        matches!(self.phase(), Phase::Off) || self.hub() == Some(Hub::Away)
    }

    /// What a person should know of the engines that are up.
    #[must_use]
    pub fn caution(&self) -> Option<&str> {
        either!(self, one => one.caution())
    }

    /// Which launch is the current one.
    #[must_use]
    pub fn set(&self) -> SetId {
        either!(self, one => one.set())
    }

    /// Every engine of the current set, dead ones too, in the order of ranks.
    pub fn engines(&self) -> impl Iterator<Item = &Engine> {
        either!(self, one => one.engines.values())
    }

    /// How many engines there are, or will be when they are up, if that is known.
    #[must_use]
    pub fn size(&self) -> Option<u32> {
        match self.phase() {
            Phase::Up => u32::try_from(self.engines().count()).ok(),
            Phase::Launching { size, .. } => *size,
            Phase::Off | Phase::Stopping { .. } | Phase::Failed { .. } => None,
        }
    }

    /// Whether there are so many engines, or any number where none is named, or will be as soon as they are up.
    #[must_use]
    pub fn has(&self, count: Option<u32>) -> bool {
        let begun = matches!(self.phase(), Phase::Up | Phase::Launching { .. });
        begun && (count.is_none() || count == self.size())
    }

    /// Whether an engine's connection has closed and it is not known yet how it ended.
    #[must_use]
    pub fn is_uncertain(&self) -> bool {
        self.engines().any(|engine| matches!(engine.state, State::Vanished { .. }))
    }

    /// The task an engine runs; of a hub's engine as it was when its status was asked.
    #[must_use]
    pub fn running(&self, rank: Rank) -> Option<Running<'_>> {
        either!(self, one => one.running(rank))
    }

    /// Starts `size` engines, or as many as usual. Engines that are there are ended first. A hub's are looked for, and
    /// started if they are off.
    pub fn start(&mut self, size: Option<u32>, now: Instant, out: &mut Output) {
        either!(self, one => one.start(size, now, out));
    }

    /// Ends the engines, whoever else uses them.
    pub fn stop(&mut self, out: &mut Output) {
        either!(self, one => one.stop(out));
    }

    /// Its owner ends: engines of its own end, a hub's live on.
    pub fn quit(&mut self, out: &mut Output) {
        match self {
            Cluster::Own(own) => own.stop(out),
            Cluster::Attached(attached) => attached.leave(out),
        }
    }

    /// The driver knows by now what the set will be.
    pub fn launched(&mut self, set: SetId, terms: Terms) {
        if let Cluster::Own(own) = self {
            own.launched(set, terms);
        }
    }

    /// Takes one event of the set numbered `set`.
    pub fn on(&mut self, set: SetId, event: Event, now: Instant, out: &mut Output) {
        if let Cluster::Own(own) = self {
            own.on(set, event, now, out);
        }
    }

    /// Takes what comes from the hub that it is attached to.
    pub fn heard(&mut self, heard: FromHub, now: Instant, out: &mut Output) {
        if let Cluster::Attached(attached) = self {
            attached.heard(heard, now, out);
        }
    }

    /// Fans `work` out to `targets`, which must be living engines in ascending order.
    ///
    /// # Errors
    /// A sentence for the user when the task cannot be sent.
    pub fn submit(
        &mut self,
        targets: &[Rank],
        work: Work,
        label: String,
        now: Instant,
        out: &mut Output,
    ) -> Result<TaskId, String> {
        match self {
            Cluster::Own(own) => own.submit(targets, work, label, now, out),
            Cluster::Attached(attached) => attached.submit(targets, work, label, out),
        }
    }

    /// The targets of a task that have not ended it.
    #[must_use]
    pub fn waiting(&self, task: TaskId) -> usize {
        either!(self, one => one.waiting(task))
    }

    /// Raises `KeyboardInterrupt` in a task on every engine that still runs it. Those that do not stop are given up.
    pub fn interrupt(&mut self, task: TaskId, now: Instant, out: &mut Output) {
        match self {
            Cluster::Own(own) => own.interrupt(task, now, out),
            Cluster::Attached(attached) => attached.interrupt(task, out),
        }
    }

    /// Raises `KeyboardInterrupt` in whatever these engines run. Nobody waits for it, so nobody is given up.
    pub fn interrupt_engines(&mut self, ranks: &[Rank], out: &mut Output) {
        either!(self, one => one.interrupt_engines(ranks, out));
    }

    /// Takes tasks back where they have not begun, of these engines or of all (`None`). Returns where that is not known
    /// yet: each of these will be followed by its end, or by [`Notice::Kept`].
    pub fn cancel<'a>(
        &mut self,
        tasks: impl Iterator<Item = (TaskId, Option<&'a BTreeSet<Rank>>)>,
        out: &mut Output,
    ) -> BTreeSet<(TaskId, Rank)> {
        match self {
            Cluster::Own(own) => own.cancel(tasks, out),
            // Clients have their tasks taken back by the hub.
            Cluster::Attached(_) => BTreeSet::new(),
        }
    }

    /// Sends a signal to the processes of these engines; SIGINT interrupts the task that runs there.
    ///
    /// # Errors
    /// A sentence for the user, when one of them is not there; then none gets it.
    pub fn signal(&mut self, targets: &[Rank], signal: i32, out: &mut Output) -> Result<(), String> {
        either!(self, one => one.signal(targets, signal, out))
    }

    /// Gives an engine the answer to what code on it asked ([`Report::Ask`]).
    pub fn answer(&mut self, rank: Rank, question: u64, answer: Result<String, String>, out: &mut Output) {
        either!(self, one => one.answer(rank, question, answer, out));
    }

    /// Asks an engine about what is being typed, if it lives: the question's number.
    pub fn ask(&mut self, rank: Rank, about: Question, out: &mut Output) -> Option<u64> {
        either!(self, one => one.ask(rank, about, out))
    }

    /// Asks every living engine how it is; each answer is a [`Notice::Status`].
    pub fn ask_status(&mut self, out: &mut Output) {
        either!(self, one => one.ask_status(out));
    }

    /// Asks engines for the Python stacks of all their threads; each answer is a [`Notice::Stack`].
    pub fn ask_stack(&mut self, targets: &BTreeSet<Rank>, out: &mut Output) {
        either!(self, one => one.ask_stack(targets, out));
    }

    /// When [`Cluster::tick`] is wanted next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self {
            Cluster::Own(own) => own.deadline(),
            Cluster::Attached(_) => None,
        }
    }

    /// Does what has become due.
    pub fn tick(&mut self, now: Instant, out: &mut Output) {
        if let Cluster::Own(own) = self {
            own.tick(now, out);
        }
    }
}

/// The name by which clients know a kernel's task, which no other kernel's has.
#[must_use]
pub(crate) fn name_of(task: TaskId, kernel: &str) -> String {
    let kernel: String = kernel.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    format!("px_{task}_{kernel}")
}
