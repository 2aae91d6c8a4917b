//! A task that any of several engines may do.

use std::collections::BTreeSet;
use std::time::Instant;

use fabric::message::Rank;
use fabric::message::client::{Dependency, Told};
use fabric::message::task::Work;

/// What is to be done, and what became of attempts at it.
#[derive(Debug)]
pub(in crate::clients) struct Balanced {
    pub(in crate::clients) name: String,
    pub(in crate::clients) label: String,
    pub(in crate::clients) work: Work,
    /// The memory files of its submission.
    pub(in crate::clients) files: Vec<u32>,
    /// Where it may run; `None`: anywhere.
    pub(in crate::clients) targets: Option<BTreeSet<Rank>>,
    /// How often it may still fail and be tried again.
    pub(in crate::clients) retries: u32,
    /// When it must have been given to an engine.
    pub(in crate::clients) deadline: Option<Instant>,
    pub(in crate::clients) after: Option<Dependency>,
    pub(in crate::clients) follow: Option<Dependency>,
    /// Where it was tried and failed.
    pub(in crate::clients) tried: BTreeSet<Rank>,
    /// Where what it requires does not hold.
    pub(in crate::clients) unmet: BTreeSet<Rank>,
    /// How the last try ended, not told while there may be another one.
    pub(in crate::clients) failure: Option<Told>,
    /// It ended, or is not to be tried again.
    pub(in crate::clients) last_try: bool,
    /// Where it stands among those that can be given to an engine, from when it could first be given to one.
    pub(in crate::clients) place: Option<u64>,
    /// It can be given to an engine.
    pub(in crate::clients) is_ready: bool,
}

/// Where a task may run: tasks that may run at the same places wait in one line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lane {
    only: Option<BTreeSet<Rank>>,
    never: BTreeSet<Rank>,
}

impl Balanced {
    /// As it was submitted.
    pub(in crate::clients) fn new(name: String, label: String, work: Work, files: Vec<u32>) -> Self {
        Self {
            name,
            label,
            work,
            files,
            targets: None,
            retries: 0,
            deadline: None,
            after: None,
            follow: None,
            tried: BTreeSet::new(),
            unmet: BTreeSet::new(),
            failure: None,
            last_try: false,
            place: None,
            is_ready: false,
        }
    }

    /// Whether this engine may still be given the task.
    pub(super) fn may_run(&self, rank: Rank) -> bool {
        self.targets.as_ref().is_none_or(|targets| targets.contains(&rank))
            && !self.tried.contains(&rank)
            && !self.unmet.contains(&rank)
    }

    pub(super) fn lane(&self) -> Lane {
        Lane { only: self.targets.clone(), never: self.tried.union(&self.unmet).copied().collect() }
    }
}

impl Lane {
    pub(super) fn allows(&self, rank: Rank) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&rank)) && !self.never.contains(&rank)
    }
}
