//! The kernel's state and every decision it takes: [`Session::on`] takes in one thing that happened
//! and gives back what is to be done about it.
//!
//! | file | the stage |
//! | --- | --- |
//! | [`shell`](self) | requests in order: whose is a cell, what is aborted after an error |
//! | `control` | requests that overtake: interrupt, shutdown, kernel_info |
//! | `event` | what comes in and what goes out |
//! | `desk` | what every part needs to act |
//! | `eager` | when the engines start by themselves |
//! | `local` | what the local process says, and what happens when it dies |
//! | `records` | parallel cells on their way into the history |
//! | `run` | a cell's parallel steps, one after the other |
//! | `sets` | the named sets of magics and their defaults |
//! | `plan` | a cell's options and the defaults, put together |
//! | `task` | one fan-out: reports in, merged output out |
//! | `watch` | a cell that takes too long, and one that is stuck |
//! | `stack` | where engines are |
//! | `stats` | what a cell has cost each engine |
//! | `progress` | who is done, while it takes long |
//! | `questions` | what code on engines asks the person at the notebook |
//! | `comms` | widgets on engines |
//! | `relay` | the client API of a notebook whose engines are another process's |
//! | `complete` | completion and help for code of engines |
//! | `finish` | the reply, or the answer to the code that called |
//! | `failure` | many engines' errors as one |
//! | `hints` | what is said once, because it helps |
//! | `missing` | a name that only the notebook knows |
//! | `table` | what `%engines` shows |
//!
//! **Invariant**: one shell request at a time; its `idle` goes out after the last byte of the last rank.

mod comms;
mod complete;
mod control;
mod desk;
mod eager;
mod event;
mod failure;
mod finish;
mod hints;
mod local;
mod missing;
mod plan;
mod progress;
mod questions;
mod records;
mod relay;
mod run;
mod sets;
mod shell;
mod stack;
mod stats;
mod table;
mod task;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use fabric::message::Json;
use fabric::message::client::Ask;
use fabric::message::local::{MagicSpec, Message};

use crate::clients::{ClientId, Clients};
use crate::cluster::{Cluster, FromHub, Notice};
use crate::compose::Composer;
use crate::request::Request;
use crate::wire::Incoming;
use comms::{Comms, Handled};
use complete::Enquiries;
pub(crate) use desk::Desk;
use eager::Eager;
pub use event::{Effect, Event};
use hints::Hints;
use local::Local;
use questions::Questions;
use records::Records;
use relay::Relay;
use run::{Progress, Run};
use sets::Sets;
use stack::Dump;
use task::TaskRun;

/// The state of one kernel.
pub struct Session {
    desk: Desk,
    local: Local,
    /// Shell requests that wait for their turn.
    queue: VecDeque<Incoming>,
    current: Current,
    /// Control requests that wait for the one that the local process answers.
    asides: VecDeque<Incoming>,
    /// The last control request, if the kernel answered it and the local process does not know of it.
    answered: Option<Message>,
    /// Requests that the local process answers beside the current one, by `msg_id`.
    relayed: HashMap<String, Request>,
    runs: Vec<Run>,
    /// Tasks whose cell did not wait for them.
    background: Vec<TaskRun>,
    comms: Comms,
    relay: Relay,
    questions: Questions,
    enquiries: Enquiries,
    next_count: u32,
    records: Records,
    ending: Option<Instant>,
}

/// What the main shell is doing.
#[expect(clippy::large_enum_variant, reason = "a session has one")]
enum Current {
    Idle,
    /// The local process has the request.
    Local {
        request: Request,
        stop_on_error: bool,
    },
    /// One of the runs has it.
    Run,
}

impl Session {
    /// `session_id` is Jupyter's; `lazy` leaves the engines to the first parallel cell; `interactive` is whether
    /// somebody watches what cells show.
    #[must_use]
    pub fn new(session_id: String, lazy: bool, interactive: bool) -> Self {
        let desk = Desk {
            captured: HashMap::new(),
            clients: Clients::new(&session_id),
            composer: Composer::new(session_id),
            cluster: Cluster::default(),
            eager: if lazy { Eager::Never } else { Eager::Later },
            sets: Sets::default(),
            hints: Hints::default(),
            interactive,
            detached: Vec::new(),
            finished: VecDeque::new(),
            effects: Vec::new(),
            notices: VecDeque::new(),
        };
        Self {
            desk,
            local: Local::Starting,
            queue: VecDeque::new(),
            current: Current::Idle,
            asides: VecDeque::new(),
            answered: None,
            relayed: HashMap::new(),
            runs: Vec::new(),
            background: Vec::new(),
            comms: Comms::default(),
            relay: Relay::default(),
            questions: Questions::default(),
            enquiries: Enquiries::default(),
            next_count: 1,
            records: Records::default(),
            ending: None,
        }
    }

    /// The same, without engines of its own: it uses those of `profile`.
    #[must_use]
    pub fn attached_to(mut self, profile: &str) -> Self {
        self.desk.cluster = Cluster::attached(profile, self.desk.composer.session());
        self
    }

    /// What the clock says now, in seconds since the epoch.
    pub fn set_clock(&mut self, now: Instant, epoch: f64) {
        self.desk.clients.set_clock(now, epoch);
    }

    /// What is to be done before anything has happened.
    pub fn begin(&mut self, now: Instant) -> Vec<Effect> {
        let starting = self.desk.composer.status("starting", &Json::default());
        self.desk.send(starting);
        self.desk.effects.push(Effect::StartLocal);
        self.settle(now)
    }

    /// Takes in one thing that happened.
    pub fn on(&mut self, event: Event, now: Instant) -> Vec<Effect> {
        match event {
            Event::Request(incoming) => self.request(incoming, now),
            Event::Local(said) => self.local_said(said, now),
            Event::LocalGone { how, last_words, line } => {
                let place = self.place(line);
                self.local_gone(&how, &place, &last_words, now);
            }
            Event::Engines { set, event } => {
                self.desk.cluster(|cluster, out| cluster.on(set, event, now, out))
            }
            Event::Launched(set, terms) => self.desk.cluster.launched(set, terms),
            Event::Client { client, ask } => self.client_asks(client, ask, now),
            Event::Hub(heard) => self.hub_said(heard, now),
            Event::Relayed(told) => self.relayed(told, now),
            Event::RelayGone { reason } => self.relay.end(&reason, &mut self.desk),
            Event::ClientGone { client } => {
                self.desk.clients(now, |clients, core| clients.leave(client, core))
            }
            Event::Interrupted => self.interrupt(now),
            Event::Terminated => self.end(now),
        }
        self.settle(now)
    }

    /// Does what has become due.
    pub fn tick(&mut self, now: Instant) -> Vec<Effect> {
        self.desk.cluster(|cluster, out| cluster.tick(now, out));
        self.desk.clients(now, |clients, core| clients.tick(core));
        for run in &mut self.runs {
            run.tick(&mut self.desk, now);
        }
        let mut finished = std::mem::take(&mut self.desk.finished);
        let tasks = self.background.iter_mut().chain(self.comms.tasks_mut());
        for task in tasks.chain(&mut finished) {
            task.tick(&mut self.desk, now);
        }
        self.desk.finished = finished;
        self.record_due(now);
        self.ask_next(now);
        self.give_up_enquiries(now);
        self.settle(now)
    }

    /// When [`Session::tick`] is wanted next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let runs = self.runs.iter().filter_map(Run::deadline);
        let tasks = self.background.iter().chain(self.comms.tasks()).chain(&self.desk.finished);
        runs.chain(tasks.filter_map(TaskRun::deadline))
            .chain(self.desk.cluster.deadline())
            .chain(self.desk.clients.deadline())
            .chain(self.records.deadline())
            .chain(self.desk.eager.deadline())
            .chain(self.questions.deadline())
            .chain(self.enquiries.deadline())
            .chain(self.ending)
            .min()
    }

    /// Follows up until nothing more comes of what happened.
    fn settle(&mut self, now: Instant) -> Vec<Effect> {
        self.start_eagerly(now);
        loop {
            while let Some(notice) = self.desk.notices.pop_front() {
                self.notice(notice, now);
            }
            let moved = self.advance_runs(now) | self.finish_comms() | self.next_request(now);
            if !moved && self.desk.notices.is_empty() {
                break;
            }
        }
        self.check_ended(now);
        std::mem::take(&mut self.desk.effects)
    }

    /// Somebody who uses the client API asks for something.
    fn client_asks(&mut self, client: ClientId, ask: Ask, now: Instant) {
        if self.desk.cluster.hub().is_some() {
            return self.relay.ask(ask, &mut self.desk, now);
        }
        self.desk.clients(now, |clients, core| clients.ask(client, ask, core));
    }

    /// The hub whose engines are used says something.
    fn hub_said(&mut self, heard: FromHub, now: Instant) {
        if let FromHub::Told(told) = &heard {
            self.relay_engines(told);
        }
        self.desk.cluster(|cluster, out| cluster.heard(heard, now, out));
    }

    fn notice(&mut self, notice: Notice, now: Instant) {
        if notice == Notice::Phase {
            self.relay.follow(&mut self.desk);
        }
        let Some(notice) = self.note_question(notice, now) else { return };
        let Some(notice) = self.note_comm(notice) else { return };
        let rest = self.desk.clients(now, |clients, core| clients.notice(notice, core));
        let Some(notice) = rest else { return };
        if let Notice::Answered { question, content } = &notice {
            return self.engine_answered(*question, content.as_ref());
        }
        let mut finished = std::mem::take(&mut self.desk.finished);
        let runs = self.runs.iter_mut().filter_map(Run::task_mut);
        let comms = self.comms.handled.iter_mut().map(Handled::task_mut);
        let mut tasks = runs.chain(&mut self.background).chain(comms).chain(&mut finished);
        match notice {
            Notice::Report { task, rank, event } => {
                if let Some(running) = tasks.find(|running| running.id() == task) {
                    running.report(rank, event, &mut self.desk, now);
                }
            }
            Notice::Lost { task, rank, why, lives } => {
                if let Some(running) = tasks.find(|running| running.id() == task) {
                    running.lost(rank, why, lives, &mut self.desk, now);
                }
            }
            Notice::Over { task } => {
                if let Some(running) = tasks.find(|running| running.id() == task) {
                    running.over(&mut self.desk, now);
                }
            }
            Notice::Stack { rank, threads, mpi } => {
                let code = tasks.find(|task| task.runs_on(rank)).map(|task| task.code().to_owned());
                let dump = Dump { threads: &threads, mpi: mpi.as_deref() };
                let code = code.as_deref();
                self.runs.iter_mut().for_each(|run| run.stack(rank, dump, code, &mut self.desk, now));
                self.background.iter_mut().for_each(|task| task.stack(rank, dump, &mut self.desk, now));
            }
            Notice::Status(rank) => self.runs.iter_mut().for_each(|run| run.status(rank)),
            Notice::Phase | Notice::Answered { .. } | Notice::Kept { .. } => {}
        }
        self.desk.finished = finished;
        self.background.retain(|task| !task.is_over_in_background());
    }

    /// Lets every run go as far as it can; true when one can go on, or has ended.
    fn advance_runs(&mut self, now: Instant) -> bool {
        let mut moved = false;
        for mut run in std::mem::take(&mut self.runs) {
            match run.advance(&mut self.desk, now) {
                Progress::Waiting => self.runs.push(run),
                Progress::Local(code) => {
                    match self.local.unfit() {
                        None => self.relay_part(&run, &code),
                        Some(reason) => {
                            run.local_died(reason);
                            moved = true;
                        }
                    }
                    self.runs.push(run);
                }
                Progress::Finished => {
                    self.finish_run(run, now);
                    moved = true;
                }
            }
        }
        self.background.append(&mut self.desk.detached);
        moved
    }
}

/// The magics that the local shell registers, from the table of magics.
#[must_use]
pub fn magic_specs() -> Vec<MagicSpec> {
    let spec = |magic: &magics::Magic| MagicSpec {
        name: magic.name.to_owned(),
        line: magic.line,
        cell: magic.cell,
        suffixed: magic.suffixed,
        help: magics::help(magic.name).unwrap_or_default(),
    };
    magics::table().iter().map(spec).collect()
}
