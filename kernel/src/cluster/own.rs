//! Engines of its own: a launcher, a link to every supervisor and worker, the gateway.
//!
//! **Invariant**: what comes from an earlier set of engines changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Instant;

use fabric::message::Rank;
use fabric::message::lifeline::{FromSupervisor, FromWorker, Hello, Question, Role, ToWorker};
use fabric::message::task::{FromGateway, TaskId};

use super::{Effect, Engine, Event, Flight, LinkId, Notice, Output, Phase, Running, SetId, account};

/// What a person types to have fresh engines.
#[derive(Debug)]
pub(super) struct Restart(&'static str);

impl Default for Restart {
    fn default() -> Self {
        Restart("`%engines restart`")
    }
}

impl fmt::Display for Restart {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
}

/// The engines and their tasks.
#[derive(Debug, Default)]
pub struct Own {
    pub(super) restart: Restart,
    pub(super) phase: Phase,
    pub(super) set: SetId,
    pub(super) caution: Option<String>,
    pub(super) engines: BTreeMap<Rank, Engine>,
    pub(super) supervisors: BTreeMap<u32, LinkId>,
    pub(super) gateway: Option<LinkId>,
    pub(super) flights: BTreeMap<TaskId, Flight>,
    /// Those of them that are to end soon.
    pub(super) hurried: BTreeSet<TaskId>,
    pub(super) last_task: TaskId,
    pub(super) account: account::Account,
    pub(super) last_question: u64,
    /// How many engines the last set had that was up.
    pub(super) before: Option<u32>,
}

impl Own {
    /// Engines without a notebook.
    pub(super) fn headless() -> Self {
        Own { restart: Restart("`parallel-python engines restart`"), ..Own::default() }
    }

    /// The phase the set of engines is in.
    #[must_use]
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// What a person should know of the engines that are up.
    #[must_use]
    pub fn caution(&self) -> Option<&str> {
        self.caution.as_deref()
    }

    /// Which launch is the current one.
    #[must_use]
    pub fn set(&self) -> SetId {
        self.set
    }

    /// The task an engine runs.
    #[must_use]
    pub fn running(&self, rank: Rank) -> Option<Running<'_>> {
        let flight = self.flights.get(self.engines.get(&rank)?.tasks.front()?)?;
        Some(Running { label: &flight.label, since: flight.since })
    }

    /// Takes one event of the set numbered `set`.
    pub fn on(&mut self, set: SetId, event: Event, now: Instant, out: &mut Output) {
        if set != self.set {
            return;
        }
        match event {
            Event::Hello { link, hello } => self.hello(link, hello, out),
            Event::Worker { link, said } => self.worker(link, said, out),
            Event::Supervisor(FromSupervisor::Exited { worker, ending, last_words, line }) => {
                self.exited(worker, ending, &last_words, line, now, out);
            }
            Event::Gateway(FromGateway::Reports { rank, reports }) => {
                for report in reports.into_owned() {
                    self.report(rank, report, out);
                }
            }
            Event::Closed { link } => {
                self.closed(link, now, out);
                self.ask_for_account(out);
            }
            Event::Adopted { holder, descriptors } => {
                let engine = self.engines.values().find(|engine| engine.pid == holder);
                let release =
                    |engine: &Engine| Effect::Worker(engine.link, ToWorker::Release { descriptors });
                out.effects.extend(engine.map(release));
            }
            Event::Launcher(said) => self.launcher(said, now, out),
            Event::LauncherGone => {
                self.launcher_gone("the process that started the engines is gone", now, out)
            }
            Event::Logs(text) => self.told_logs(&text, now, out),
            Event::LaunchFailed { reason } => self.launch_failed(&reason, out),
        }
    }

    fn hello(&mut self, link: LinkId, hello: Hello, out: &mut Output) {
        if hello.build != fabric::message::BUILD {
            let reason = format!(
                "the engines are of build {}, the kernel of build {}: install both from one build",
                hello.build,
                fabric::message::BUILD
            );
            return self.fail(reason, out);
        }
        match hello.role {
            Role::Supervisor { worker } => drop(self.supervisors.insert(worker, link)),
            Role::Gateway => self.gateway = Some(link),
            Role::Worker(said) => drop(self.engines.insert(said.rank, Engine::new(link, hello.pid, said))),
        }
        self.check_up(out);
    }

    fn worker(&mut self, link: LinkId, said: FromWorker, out: &mut Output) {
        let Some(engine) = self.engines.values_mut().find(|engine| engine.link == link) else { return };
        let rank = engine.rank();
        match said {
            FromWorker::Status(status) => {
                if status.running.is_none() {
                    engine.tasks.retain(|task| self.flights.contains_key(task));
                }
                self.give_account(rank, &status, out);
                let Some(engine) = self.engines.get_mut(&rank) else { return };
                engine.status = Some(status);
                out.notices.push(Notice::Status(rank));
            }
            FromWorker::Report(report) => self.report(rank, report, out),
            FromWorker::Answer { question, content } => {
                out.notices.push(Notice::Answered { question, content });
            }
            FromWorker::Cancelled { tasks, begun } => self.cancelled(rank, tasks, begun, out),
            FromWorker::Stack { threads, mpi } => out.notices.push(Notice::Stack { rank, threads, mpi }),
        }
    }

    /// Asks an engine about what is being typed, if it lives: the question's number.
    pub fn ask(&mut self, rank: Rank, about: Question, out: &mut Output) -> Option<u64> {
        let engine = self.engines.get(&rank).filter(|engine| engine.lives())?;
        self.last_question += 1;
        let question = self.last_question;
        out.effects.push(Effect::Worker(engine.link, ToWorker::Ask { question, about }));
        Some(question)
    }

    /// Asks every living engine how it is; each answer is a [`Notice::Status`].
    pub fn ask_status(&mut self, out: &mut Output) {
        for engine in self.engines.values_mut().filter(|engine| engine.lives()) {
            engine.status = None;
            out.effects.push(Effect::Worker(engine.link, ToWorker::Status));
        }
    }

    /// When [`Own::tick`] is wanted next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let hurried = self.hurried.iter().filter_map(|task| self.flights.get(task));
        let flights = hurried.filter_map(Flight::deadline);
        let vanished = self.engines.values().filter_map(Engine::deadline);
        flights.chain(vanished).chain(self.phase.deadline()).min()
    }

    /// Does what has become due.
    pub fn tick(&mut self, now: Instant, out: &mut Output) {
        self.bury_vanished(now, out);
        self.hurry_flights(now, out);
        self.check_launch_deadline(now, out);
    }
}
