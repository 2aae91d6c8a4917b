//! Engines of another process, which this cluster mirrors: a headless set's, or another kernel's. Its owner is
//! called the hub here, and is spoken to as any client speaks to it (`fabric/src/message/client.rs`).
//!
//! ```text
//!        start                 Joined               Answer (the engines are up)
//!  Away ───────► Joining ──────────────► Joined, Launching ────────────► Joined, Up ◄─► what the hub tells
//!   ▲               └─► Failed(reason), Away                                 │
//!   └────────────────────────────── Gone: tasks are lost, Failed ◄───────────┘
//! ```
//!
//! What the session asks for is in this file and goes out as [`ToHub`]; `told` makes notices of what comes back.
//!
//! **Invariant**: which engines there are, and in which phase, is what the hub told last; but from the moment somebody
//! here starts or ends them until the hub says that this is done, the phase is on its way. A task ends by what the hub
//! says of it, or because the hub is gone.

#[cfg(test)]
mod tests;
mod told;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use fabric::message::Rank;
use fabric::message::client::{Ask, Caller, EnginesAction, Placement, Query, Submission, Told};
use fabric::message::lifeline::Question;
use fabric::message::task::{TaskId, Work};

use super::reach::{INTERRUPT, all_live};
use super::{Engine, Notice, Output, Phase, Running, SetId, name_of};

/// How it stands with the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hub {
    /// There is no connection; looking for one costs nothing.
    Away,
    /// It is looked for.
    Joining,
    /// There is a connection.
    Joined,
}

/// What is wanted of the hub.
#[derive(Debug, PartialEq)]
pub enum ToHub {
    /// Look for it and connect.
    Join,
    /// Ask it something.
    Ask(Ask),
    /// End the connection.
    Leave,
}

/// What comes from the hub.
#[derive(Debug)]
pub enum FromHub {
    /// It is there.
    Joined,
    /// It tells something.
    Told(Told),
    /// There is none, or the connection has ended.
    Gone {
        /// A sentence for the user.
        reason: String,
    },
}

/// See the module.
#[derive(Debug)]
pub struct Attached {
    profile: String,
    kernel: String,
    hub: Hub,
    pub(super) phase: Phase,
    set: SetId,
    caution: Option<String>,
    pub(super) engines: BTreeMap<Rank, Engine>,
    /// What they ran when they were asked, and since when.
    runs: BTreeMap<Rank, (String, Instant)>,
    flights: BTreeMap<TaskId, Flight>,
    /// The tasks that fly and the last that ended, by their names.
    names: HashMap<String, TaskId>,
    /// The last that ended: their threads may still write.
    ended: VecDeque<String>,
    asked: HashMap<u64, Matter>,
    /// How many engines were asked for while it was joining, and since then what the hub is to do.
    wanted: Option<u32>,
    /// The question that ends what is under way with the engines, and the phase in which they are meanwhile.
    under_way: Option<(u64, Phase)>,
    last_task: TaskId,
    last_ask: u64,
}

/// A task that engines have.
#[derive(Debug)]
struct Flight {
    name: String,
    waiting: BTreeSet<Rank>,
    /// Its record is of no use to anybody.
    passing: bool,
}

/// What the hub was asked about.
#[derive(Debug)]
enum Matter {
    Engines,
    Status,
    Stack(Rank),
    Enquiry,
    /// Whose answer nobody waits for.
    Nothing,
}

impl Attached {
    /// It looks for the hub when engines are wanted. `kernel` makes its tasks' names its own.
    pub(super) fn new(profile: &str, kernel: &str) -> Self {
        Self {
            profile: profile.to_owned(),
            kernel: kernel.to_owned(),
            hub: Hub::Away,
            phase: Phase::Off,
            set: 0,
            caution: None,
            engines: BTreeMap::new(),
            runs: BTreeMap::new(),
            flights: BTreeMap::new(),
            names: HashMap::new(),
            ended: VecDeque::new(),
            asked: HashMap::new(),
            wanted: None,
            under_way: None,
            last_task: 0,
            last_ask: 0,
        }
    }

    pub(super) fn hub(&self) -> Hub {
        self.hub
    }

    pub(super) fn profile(&self) -> &str {
        &self.profile
    }

    pub(super) fn phase(&self) -> &Phase {
        &self.phase
    }

    pub(super) fn set(&self) -> SetId {
        self.set
    }

    pub(super) fn caution(&self) -> Option<&str> {
        self.caution.as_deref()
    }

    pub(super) fn running(&self, rank: Rank) -> Option<Running<'_>> {
        self.runs.get(&rank).map(|(label, since)| Running { label, since: *since })
    }

    pub(super) fn waiting(&self, task: TaskId) -> usize {
        self.flights.get(&task).map_or(0, |flight| flight.waiting.len())
    }

    /// Joins the hub; has the hub start its engines anew if it has been joined.
    pub(super) fn start(&mut self, size: Option<u32>, now: Instant, out: &mut Output) {
        match self.hub {
            Hub::Away => {
                self.set += 1;
                self.hub = Hub::Joining;
                self.wanted = size;
                self.phase = launching(now);
                out.hub.push(ToHub::Join);
                out.notices.push(Notice::Phase);
            }
            Hub::Joining => self.wanted = size,
            Hub::Joined => {
                self.change(EnginesAction::Restart, size, Phase::Stopping { then: Some(size) }, out);
            }
        }
    }

    pub(super) fn stop(&mut self, out: &mut Output) {
        match (self.hub, &self.phase) {
            (Hub::Away, _) | (Hub::Joined, Phase::Off | Phase::Failed { .. }) => {}
            (Hub::Joining, _) => self.leave(out),
            (Hub::Joined, _) => {
                self.change(EnginesAction::Stop, None, Phase::Stopping { then: None }, out);
            }
        }
    }

    /// Ends the connection, and nothing else.
    pub(super) fn leave(&mut self, out: &mut Output) {
        if self.hub != Hub::Away {
            out.hub.push(ToHub::Leave);
        }
        self.let_go("the kernel has left its engines", Phase::Off, out);
    }

    fn change(&mut self, action: EnginesAction, count: Option<u32>, meanwhile: Phase, out: &mut Output) {
        let ask = self.question(Matter::Engines);
        let before = std::mem::replace(&mut self.phase, meanwhile);
        self.under_way = Some((ask, before));
        out.hub.push(ToHub::Ask(Ask::Engines { ask, action, count }));
        out.notices.push(Notice::Phase);
    }

    pub(super) fn submit(
        &mut self,
        targets: &[Rank],
        work: Work,
        label: String,
        out: &mut Output,
    ) -> Result<TaskId, String> {
        if self.hub != Hub::Joined {
            return Err(format!("the engines of profile `{}` are not there", self.profile));
        }
        self.last_task += 1;
        let (task, name) = (self.last_task, name_of(self.last_task, &self.kernel));
        let passing = !matches!(work, Work::Execute { .. });
        let placement = Placement::Each { targets: targets.to_vec() };
        let submission = Submission { name: name.clone(), label, placement, work, caller: Caller::Cell };
        out.hub.push(ToHub::Ask(Ask::Submit { submissions: vec![submission] }));
        self.names.insert(name.clone(), task);
        self.flights.insert(task, Flight { name, waiting: targets.iter().copied().collect(), passing });
        Ok(task)
    }

    pub(super) fn interrupt(&mut self, task: TaskId, out: &mut Output) {
        if let Some(flight) = self.flights.get(&task) {
            out.hub.push(ToHub::Ask(Ask::Interrupt { names: vec![flight.name.clone()] }));
        }
    }

    pub(super) fn interrupt_engines(&mut self, ranks: &[Rank], out: &mut Output) {
        let lives = |rank: &Rank| self.engines.get(rank).is_some_and(Engine::lives);
        let targets = ranks.iter().copied().filter(lives).collect();
        self.ask_hub(Matter::Nothing, out, |ask| Ask::Signal { ask, targets, signal: INTERRUPT });
    }

    pub(super) fn signal(&mut self, targets: &[Rank], signal: i32, out: &mut Output) -> Result<(), String> {
        all_live(&self.engines, targets)?;
        let targets = targets.to_vec();
        self.ask_hub(Matter::Nothing, out, |ask| Ask::Signal { ask, targets, signal });
        Ok(())
    }

    pub(super) fn answer(
        &mut self,
        rank: Rank,
        question: u64,
        answer: Result<String, String>,
        out: &mut Output,
    ) {
        if self.hub == Hub::Joined {
            out.hub.push(ToHub::Ask(Ask::Input { rank, question, answer }));
        }
    }

    pub(super) fn ask(&mut self, rank: Rank, about: Question, out: &mut Output) -> Option<u64> {
        self.engines.get(&rank).filter(|engine| engine.lives())?;
        Some(self.ask_hub(Matter::Enquiry, out, |ask| Ask::Enquire { ask, rank, about }))
    }

    pub(super) fn ask_status(&mut self, out: &mut Output) {
        self.engines.values_mut().for_each(|engine| engine.status = None);
        self.runs.clear();
        if !self.engines.is_empty() {
            self.ask_hub(Matter::Status, out, |ask| Ask::Query { ask, query: Query::Status });
        }
    }

    /// Each by itself, so that none waits for one that does not answer.
    pub(super) fn ask_stack(&mut self, targets: &BTreeSet<Rank>, out: &mut Output) {
        for rank in targets.iter().copied() {
            let query = Query::Stacks { targets: vec![rank] };
            self.ask_hub(Matter::Stack(rank), out, |ask| Ask::Query { ask, query });
        }
    }

    fn ask_hub(&mut self, matter: Matter, out: &mut Output, ask: impl FnOnce(u64) -> Ask) -> u64 {
        let number = self.question(matter);
        out.hub.push(ToHub::Ask(ask(number)));
        number
    }

    fn question(&mut self, matter: Matter) -> u64 {
        self.last_ask += 1;
        self.asked.insert(self.last_ask, matter);
        self.last_ask
    }
}

fn launching(now: Instant) -> Phase {
    Phase::Launching { since: now, until: None, size: None }
}

fn seconds_ago(seconds: f64, now: Instant) -> Instant {
    let ago = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    now.checked_sub(ago).unwrap_or(now)
}
