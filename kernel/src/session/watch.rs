//! A watch over one task: what is done when its time is up (`--timeout`), when some engines have failed and the
//! others do not end, because they may wait for those for ever, and when engines do not stop.
//!
//! **Invariant**: the engines are asked where they are at most once for each of the three reasons.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use fabric::message::Rank;

use super::Desk;
use super::stack::{Dump, Inquiry};

/// How long after an engine has failed the others may go on before it is said where they are.
const AFTER_A_FAILURE: Duration = Duration::from_secs(5);

/// How long after an interrupt engines may go on before they are asked where they are: before they are given up.
const AFTER_AN_INTERRUPT: Duration = Duration::from_millis(500);

/// What one task is watched for.
#[derive(Debug)]
pub(super) struct Watch {
    timeout: Option<(Duration, Instant)>,
    stuck: Stuck,
    unstopped: Unstopped,
    inquiry: Option<(Why, Inquiry)>,
    verdict: Option<Vec<String>>,
}

#[derive(Debug)]
enum Stuck {
    /// No engine has failed.
    No,
    /// One has, and the others get until then.
    Until(Instant),
    /// It has been said.
    Said,
}

#[derive(Debug)]
enum Unstopped {
    /// They were not interrupted.
    No,
    /// They were, and are asked then.
    Until(Instant),
    /// Where they were, as far as they have said.
    At(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Why {
    TooLong,
    Stuck,
    Unstopped,
}

/// What the task has to act on.
pub(super) enum Seen {
    /// Its time is up, and where its engines are is known.
    TooLong,
    /// These engines go on although others have failed.
    Stuck(Vec<String>),
}

impl Watch {
    pub(super) fn new(timeout: Option<Duration>, now: Instant) -> Self {
        let timeout = timeout.and_then(|time| Some((time, now.checked_add(time)?)));
        Self { timeout, stuck: Stuck::No, unstopped: Unstopped::No, inquiry: None, verdict: None }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let stuck = match self.stuck {
            Stuck::Until(at) => Some(at),
            Stuck::No | Stuck::Said => None,
        };
        let unstopped = match self.unstopped {
            Unstopped::Until(at) => Some(at),
            Unstopped::No | Unstopped::At(_) => None,
        };
        match &self.inquiry {
            Some((_, inquiry)) => Some(inquiry.deadline()),
            None => self.timeout.map(|(_, at)| at).into_iter().chain(stuck).chain(unstopped).min(),
        }
    }

    /// The engines are interrupted at that time.
    pub(super) fn interrupted(&mut self, at: Instant) {
        if matches!(self.unstopped, Unstopped::No) {
            self.unstopped = Unstopped::Until(at + AFTER_AN_INTERRUPT);
        }
    }

    /// Where the engines are that have not stopped and are given up: a line for each place.
    pub(super) fn unstopped(&mut self) -> &[String] {
        if let Some((_, inquiry)) = self.inquiry.take_if(|(why, _)| *why == Why::Unstopped) {
            self.unstopped = Unstopped::At(inquiry.sentences());
        }
        match &self.unstopped {
            Unstopped::At(places) => places,
            Unstopped::No | Unstopped::Until(_) => &[],
        }
    }

    /// An engine is done, or lost.
    pub(super) fn ended(&mut self, rank: Rank, failed: bool, now: Instant) {
        if failed && matches!(self.stuck, Stuck::No) {
            self.stuck = Stuck::Until(now + AFTER_A_FAILURE);
        }
        if let Some((_, inquiry)) = &mut self.inquiry {
            inquiry.lost(rank);
        }
    }

    /// An engine said where it is.
    pub(super) fn answered(&mut self, rank: Rank, dump: Dump<'_>, code: &str) {
        if let Some((_, inquiry)) = &mut self.inquiry {
            inquiry.answered(rank, dump, Some(code));
        }
    }

    /// Asks when it is time to, and gives what has become of it.
    pub(super) fn look(&mut self, running: &BTreeSet<Rank>, desk: &mut Desk, now: Instant) -> Option<Seen> {
        if let Some((why, inquiry)) = self.inquiry.take_if(|(_, inquiry)| inquiry.is_complete(now)) {
            return match why {
                Why::Unstopped => {
                    self.unstopped = Unstopped::At(inquiry.sentences());
                    None
                }
                Why::Stuck => Some(Seen::Stuck(inquiry.sentences())),
                Why::TooLong => {
                    let time = self.timeout.take().map_or(0.0, |(time, _)| time.as_secs_f64());
                    let head = format!("the cell was not done after {time} s and has been interrupted");
                    self.verdict = Some(std::iter::once(head).chain(inquiry.sentences()).collect());
                    Some(Seen::TooLong)
                }
            };
        }
        if self.inquiry.is_some() {
            return None;
        }
        let why = if self.timeout.is_some_and(|(_, at)| at <= now) {
            self.stuck = Stuck::Said;
            Why::TooLong
        } else if matches!(self.stuck, Stuck::Until(at) if at <= now) {
            self.stuck = Stuck::Said;
            Why::Stuck
        } else if matches!(self.unstopped, Unstopped::Until(at) if at <= now) {
            self.unstopped = Unstopped::At(Vec::new());
            Why::Unstopped
        } else {
            return None;
        };
        let ranks: Vec<Rank> = running.iter().copied().collect();
        self.inquiry = Some((why, Inquiry::begin(&ranks, desk, now)));
        None
    }

    /// Why the task was interrupted, if its time was up: a sentence, then a line for each place.
    pub(super) fn verdict(&mut self) -> Option<Vec<String>> {
        self.verdict.take()
    }
}
