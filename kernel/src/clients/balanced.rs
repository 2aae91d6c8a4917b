//! Tasks that any engine may do, from their submission to their end: [`super::balance`] says where, this file
//! follows what becomes of each attempt.
//!
//! **Invariant**: an attempt that is to be repeated elsewhere is not told as the task's end; the last one is.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use fabric::message::client::{Placement, Submission, Told};
use fabric::message::report::{Event, Outcome};
use fabric::message::task::TaskId;

use super::balance::{Balanced, Fate, Seat, Ticket};
use super::files::{files_of_event, files_of_work};
use super::flying::Flying;
use super::{Clients, Core, named};
use crate::cluster::{Notice, Phase, listed};

/// What code raises on an engine that lacks what it requires.
const UNMET: &str = "UnmetDependency";

impl Clients {
    /// Takes a task in that any engine may do.
    pub(super) fn submit_any(&mut self, submission: Submission, now: Instant) {
        let Submission { name, label, placement, work, .. } = submission;
        let Placement::Any { targets, retries, timeout, after, follow } = placement else { return };
        let names: Vec<String> =
            after.iter().chain(&follow).flat_map(|dependency| dependency.names.clone()).collect();
        let limit = timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let files = files_of_work(&work);
        let ticket = self.balance.add(Balanced {
            targets: targets.map(BTreeSet::from_iter),
            retries,
            deadline: limit.and_then(|limit| now.checked_add(limit)),
            after,
            follow,
            ..Balanced::new(name, label, work, files)
        });
        for id in names {
            // A part may end without a word of its own, with its task.
            if let (name, Some(_)) = named::split(&id) {
                self.dependents.entry(name.to_owned()).or_default().push(ticket);
            }
            self.dependents.entry(id).or_default().push(ticket);
        }
        self.judge(ticket);
    }

    /// Gives tasks to engines, takes back those that wait needlessly, and ends those that cannot be done.
    pub(super) fn balance(&mut self, core: &mut Core<'_>) {
        if !std::mem::take(&mut self.unbalanced) {
            return;
        }
        self.follow_endings();
        match core.cluster.phase() {
            Phase::Up if !core.cluster.is_uncertain() => {}
            Phase::Off | Phase::Failed { .. } | Phase::Stopping { then: None } => {
                let why = "the engines were stopped";
                for ticket in self.balance.not_given() {
                    self.refuse_balanced(ticket, "EngineError", why.to_owned());
                }
                return self.follow_endings();
            }
            _ => return,
        }
        let seats = |core: &Core<'_>| -> Vec<Seat> {
            let living = core.cluster.engines().filter(|engine| engine.lives());
            living.map(|engine| Seat { rank: engine.rank(), queued: engine.tasks().len() }).collect()
        };
        let mut rooms = self.balance.rooms(&seats(core), core.now);
        while let Some(fate) = self.balance.next(&rooms) {
            match fate {
                Fate::Give(ticket, rank) => {
                    self.give(ticket, rank, core);
                    self.balance.look_again(&mut rooms, rank, core.now);
                }
                Fate::Hopeless(ticket) => self.give_up(ticket),
            }
            self.follow_endings();
        }
        let recalled = self.balance.recall(&seats(core), core.now);
        if !recalled.is_empty() {
            core.cluster.cancel(recalled.into_iter().map(|task| (task, None)), core.out);
        }
    }

    /// Ends tasks that waited for too long.
    pub(super) fn end_late(&mut self, now: Instant) {
        for ticket in self.balance.too_late(now) {
            let why = "it could not begin within its timeout".to_owned();
            self.refuse_balanced(ticket, "TaskTimeout", why);
        }
        self.unbalanced = true;
    }

    fn give(&mut self, ticket: Ticket, rank: u32, core: &mut Core<'_>) {
        let Some(task) = self.balance.get(ticket) else { return };
        let (name, work, label) = (task.name.clone(), task.work.clone(), task.label.clone());
        match core.cluster.submit(&[rank], work, label, core.now, core.out) {
            Ok(number) => {
                self.balance.given(ticket, number, rank, core.now);
                let flying = Flying { name, files: Vec::new(), cell: false, spoiled: HashMap::new() };
                self.flying.insert(number, flying);
            }
            Err(why) => self.refuse_balanced(ticket, "ValueError", why),
        }
    }

    /// No engine is left to try it.
    fn give_up(&mut self, ticket: Ticket) {
        let Some(task) = self.balance.get_mut(ticket) else { return };
        if let Some(failure) = task.failure.take() {
            self.spread(failure);
            return self.end_balanced(ticket);
        }
        let ranks = |ranks: &BTreeSet<u32>| listed(&ranks.iter().copied().collect::<Vec<_>>());
        let (ename, why) = if task.unmet.is_empty() {
            let among = task.targets.as_ref().map(|targets| format!(" among {}", ranks(targets)));
            ("NoEnginesRegistered", format!("no engine{} is there to run it", among.unwrap_or_default()))
        } else {
            let unmet = ranks(&task.unmet);
            ("ImpossibleDependency", format!("what it requires holds on none of the engines ({unmet})"))
        };
        self.refuse_balanced(ticket, ename, why);
    }

    /// Something happened to an attempt.
    pub(super) fn attempt(&mut self, task: TaskId, ticket: Ticket, notice: Notice, now: Instant) {
        let recalled = self.balance.is_recalled(task);
        let Some(balanced) = self.balance.get_mut(ticket) else { return };
        let name = balanced.name.clone();
        let told = match notice {
            Notice::Report { rank, event, .. } => {
                let flying = self.flying.get_mut(&task);
                let files = files_of_event(&event);
                let unspoiled = flying.and_then(|flying| flying.unspoiled(rank, event));
                let Some(event) = unspoiled else { return self.close(files) };
                Told::Report { name, rank, event }
            }
            Notice::Lost { rank, why, lives, .. } => Told::Lost { name, rank, why, lives },
            Notice::Over { .. } => return self.attempt_over(task),
            _ => return,
        };
        let may_repeat = !balanced.last_try;
        match &told {
            Told::Report { rank, event: Event::Done { outcome, started, completed, .. }, .. } => {
                let rank = *rank;
                match outcome {
                    Outcome::Aborted if recalled && may_repeat => {}
                    Outcome::Error(raised) if raised.ename == UNMET && may_repeat => {
                        balanced.unmet.insert(rank);
                    }
                    Outcome::Error(_) if balanced.retries > 0 && may_repeat => {
                        balanced.retries -= 1;
                        balanced.tried.insert(rank);
                        balanced.failure = Some(told.clone());
                    }
                    _ => balanced.last_try = true,
                }
                let ran = !matches!(outcome, Outcome::Aborted);
                self.balance.measured(task, ran.then_some(completed - started), now);
                self.decided(task, rank);
            }
            Told::Lost { rank, lives, .. } => {
                let rank = *rank;
                if *lives || balanced.retries == 0 || !may_repeat {
                    balanced.last_try = true;
                } else {
                    balanced.retries -= 1;
                    balanced.tried.insert(rank);
                    balanced.failure = Some(told.clone());
                }
                self.decided(task, rank);
            }
            _ => return self.spread(told),
        }
        if self.balance.get(ticket).is_some_and(|balanced| balanced.last_try) {
            self.spread(told);
        }
    }

    fn attempt_over(&mut self, task: TaskId) {
        self.flying.remove(&task);
        self.unbalanced = true;
        let ticket = self.balance.ticket(task);
        let last = ticket.and_then(|ticket| self.balance.get(ticket)).is_none_or(|task| task.last_try);
        if let (Some(ticket), true) = (self.balance.ended(task, !last), last) {
            self.end_balanced(ticket);
        }
    }

    fn end_balanced(&mut self, ticket: Ticket) {
        let Some(task) = self.balance.remove(ticket) else { return };
        self.close(task.files);
        self.spread(Told::Over { name: task.name });
    }

    pub(super) fn refuse_balanced(&mut self, ticket: Ticket, ename: &str, why: String) {
        let Some(task) = self.balance.remove(ticket) else { return };
        self.close(task.files);
        self.spread(Told::Refused { name: task.name, ename: ename.to_owned(), why });
    }

    /// Takes back what no engine has of a task; whether an engine has it, and under which number.
    pub(super) fn stop_balanced(&mut self, name: &str) {
        let Some(ticket) = self.balance.named(name) else { return };
        if let Some(task) = self.balance.get_mut(ticket) {
            task.last_try = true;
        }
        if !self.balance.is_given(ticket)
            && let Some(task) = self.balance.remove(ticket)
        {
            self.close(task.files);
            self.aborted(task.name);
        }
    }
}
