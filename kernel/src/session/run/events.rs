//! What happens to a run from outside: engines and the local process answer, the user interrupts, the local process
//! has run its part or has died.

use std::time::Instant;

use fabric::message::Rank;
use fabric::message::local::Found;

use super::{Active, CellOrigin, Origin, Run};
use crate::session::Desk;
use crate::session::failure::Failure;
use crate::session::stack::Dump;

impl Run {
    pub(in crate::session) fn status(&mut self, rank: Rank) {
        if let Active::Table { waiting, .. } = &mut self.active {
            waiting.remove(&rank);
        }
    }

    /// An engine said where it is; `code` is what it runs.
    pub(in crate::session) fn stack(
        &mut self,
        rank: Rank,
        dump: Dump<'_>,
        code: Option<&str>,
        desk: &mut Desk,
        now: Instant,
    ) {
        match &mut self.active {
            Active::Stack(inquiry) => inquiry.answered(rank, dump, code),
            Active::Task(task) => task.stack(rank, dump, desk, now),
            _ => {}
        }
    }

    /// The local process has said what it has under a name.
    pub(in crate::session) fn sought(&mut self, name: &str, found: &Found) {
        if let Active::Search(search) = &mut self.active {
            search.answered(name, found);
        }
    }

    /// The user wants it to end.
    pub(in crate::session) fn interrupt(&mut self, desk: &mut Desk, now: Instant) {
        match &mut self.active {
            Active::Task(task) => task.interrupt(desk, now),
            Active::Engines { .. } => {
                self.active = Active::Nothing;
                self.failure = Some(Failure::Interrupted("while it waited for the engines".to_owned()));
            }
            Active::Stack(_) | Active::Search(_) => self.active = Active::Nothing,
            Active::Recall { .. } => {
                self.active = Active::Nothing;
                self.failure = Some(Failure::Interrupted(NO_WAIT.to_owned()));
            }
            Active::Nothing | Active::Table { .. } | Active::Local => {}
        }
    }

    /// The code that called has run the cell, and waits under another number.
    pub(in crate::session) fn resume(&mut self, by: u64, desk: &mut Desk, now: Instant) {
        if let Origin::Call { call, .. } = &mut self.origin {
            *call = by;
            self.paused = false;
        }
        if let Active::Task(task) = &mut self.active {
            task.release(desk, now);
        }
    }

    pub(in crate::session) fn waits_for_local(&self) -> bool {
        self.paused || matches!(self.active, Active::Local)
    }

    /// The cell of which the local process runs a part, if the request is this cell's.
    pub(in crate::session) fn local_part(&mut self, msg_id: &str) -> Option<&mut CellOrigin> {
        match (&mut self.origin, &self.active) {
            (Origin::Cell(cell), Active::Local) if cell.request.header.msg_id == msg_id => Some(cell),
            _ => None,
        }
    }

    pub(in crate::session) fn local_finished(&mut self, failed: bool) {
        self.active = Active::Nothing;
        if failed {
            self.failure = Some(Failure::Local);
        }
    }

    pub(in crate::session) fn local_died(&mut self, what: &str) {
        if matches!(self.active, Active::Local) {
            self.active = Active::Nothing;
            self.failure = Some(Failure::engines(what.to_owned()));
        }
    }
}

const NO_WAIT: &str = "while it waited for the result; the engines go on";
