//! Tasks on their way to engines: they wait until there are engines, and go out in the order in which they came.

use std::collections::HashMap;
use std::time::Instant;

use fabric::message::Rank;
use fabric::message::client::{Caller, Placement, Submission, Told};
use fabric::message::task::Work;

use super::files::files_of_work;
use super::flying::Flying;
use super::results::New;
use super::{ClientId, Clients, Core};
use crate::cluster::{Engine, Phase};

impl Clients {
    /// Takes submissions in; they are known by their names from here on.
    pub(super) fn accept(&mut self, client: ClientId, submissions: Vec<Submission>, now: Instant) {
        let submitted = self.time(now);
        for submission in submissions {
            let Submission { name, label, placement, work, caller } = &submission;
            if self.store.knows(name) {
                let why = format!("there is a task `{name}` already: every task has a name of its own");
                let (name, files) = (name.clone(), files_of_work(work));
                self.tell(client, Told::Refused { name, ename: "ValueError".to_owned(), why });
                self.close(files);
                continue;
            }
            let targets = match placement {
                Placement::Each { targets } => Some(targets.clone()),
                Placement::Any { .. } => None,
            };
            let (label, owner, asker) = match caller {
                Caller::Program => (label.as_str(), Some(client), None),
                Caller::Notebook => (label.as_str(), Some(client), Some(client)),
                Caller::Cell => ("%px", None, Some(client)),
            };
            self.store.open(New { name, label, work, client: owner, asker, targets, submitted });
            self.waiting.push_back((client, submission));
        }
    }

    /// Has the engines do what waits for them, if they can be had.
    pub(super) fn submit_waiting(&mut self, core: &mut Core<'_>) {
        let refusal = match core.cluster.phase() {
            Phase::Launching { .. } | Phase::Stopping { then: Some(_) } => return,
            Phase::Up if core.cluster.is_uncertain() => return,
            Phase::Up => None,
            Phase::Failed { reason } => Some(reason.clone()),
            Phase::Off | Phase::Stopping { then: None } => Some("the engines were stopped".to_owned()),
        };
        for (_, submission) in std::mem::take(&mut self.waiting) {
            match &refusal {
                Some(why) => self.refuse(submission, "EngineError", why.clone()),
                None => self.submit(submission, core),
            }
        }
    }

    fn submit(&mut self, submission: Submission, core: &mut Core<'_>) {
        if let Some(why) = lost(&submission.work) {
            return self.refuse(submission, "EngineError", why);
        }
        match &submission.placement {
            Placement::Each { targets } => {
                let targets = targets.clone();
                self.submit_each(submission, targets, core);
            }
            Placement::Any { .. } => self.submit_any(submission, core.now),
        }
    }

    /// To each of these; for the dead among them it is lost.
    fn submit_each(&mut self, submission: Submission, mut targets: Vec<Rank>, core: &mut Core<'_>) {
        targets.sort_unstable();
        targets.dedup();
        let engine = |rank: Rank| core.cluster.engines().find(|engine| engine.rank() == rank);
        let missing = targets.iter().find(|rank| engine(**rank).is_none());
        if targets.is_empty() || missing.is_some() {
            let why = match missing {
                Some(rank) => format!("there is no engine {rank}"),
                None => "no engines were named".to_owned(),
            };
            return self.refuse(submission, "NoEnginesRegistered", why);
        }
        let (mut living, mut obituaries) = (Vec::new(), Vec::new());
        for rank in targets {
            match engine(rank).filter(|engine| !engine.lives()).map(Engine::obituary) {
                Some(why) => obituaries.push((rank, why)),
                None => living.push(rank),
            }
        }
        let Submission { name, label, work, .. } = submission;
        let files = files_of_work(&work);
        for (rank, why) in obituaries {
            self.spread(Told::Lost { name: name.clone(), rank, why, lives: false });
        }
        if living.is_empty() {
            self.close(files);
            return self.spread(Told::Over { name });
        }
        match core.cluster.submit(&living, work, label, core.now, core.out) {
            Ok(task) => {
                let flying = Flying { name, files, cell: false, spoiled: HashMap::new() };
                self.flying.insert(task, flying);
            }
            Err(why) => {
                self.close(files);
                self.spread(Told::Refused { name, ename: "ValueError".to_owned(), why });
            }
        }
    }

    /// It never ran and never will.
    pub(super) fn refuse(&mut self, submission: Submission, ename: &str, why: String) {
        let files = files_of_work(&submission.work);
        self.spread(Told::Refused { name: submission.name, ename: ename.to_owned(), why });
        self.close(files);
    }
}

/// Why the data that came with a piece of work cannot be had.
fn lost(work: &Work) -> Option<String> {
    work.payload()?.lost().map(str::to_owned)
}
