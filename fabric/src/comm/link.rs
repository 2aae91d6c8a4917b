//! The carrier, the doorbells of others, and the accounts of open tasks: everything that who
//! carries and the outboxes share, behind one lock.
//!
//! **Invariant**: a packet is sent first and rung for afterwards; nothing is sent to a dead rank.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use serde_bytes::ByteBuf;

use super::backoff::Look;
use super::roster::{Roster, Settled};
use crate::doorbell::{Ringer, Rung};
use crate::frame;
use crate::message::Rank;
use crate::message::task::{Packet, TaskId};
use crate::transport::{Fabric, FabricError};

/// How long settled tasks may wait to be told. Nobody waits for the word, so it travels with the next
/// task where one follows at once; and it comes before a rank that is done looks for the first time.
const TELL_AFTER: Duration = Duration::from_millis(3);

/// How many bytes of reports a rank may have under way. A rank that writes faster than the kernel
/// takes has to wait, or rank 0's memory would fill.
const WINDOW: u64 = 4 << 20;

/// After how many bytes rank 0 says that it has passed them on.
pub(super) const TAKEN_AFTER: u64 = WINDOW / 8;

/// See the module.
pub(super) struct Link {
    fabric: Option<Box<dyn Fabric>>,
    ringers: Vec<Option<Ringer>>,
    rank: Rank,
    lost: BTreeSet<Rank>,
    /// Rank 0's account of all ranks' tasks.
    roster: Roster,
    /// Tasks whose targets are to be told that they are settled, and when at the latest.
    untold: Vec<Settled>,
    tell_at: Option<Instant>,
    /// Tasks of several targets that run here.
    running: BTreeSet<TaskId>,
    /// Tasks of several targets that are done here and maybe not elsewhere.
    unsettled: BTreeSet<TaskId>,
    /// Sends that were not complete when last looked at.
    pending: usize,
    /// Whether who carries will look again without being woken.
    pub(super) looking: bool,
    /// Nothing is to be carried any more.
    pub(super) stop: bool,
    pub(super) sent: u64,
    pub(super) received: u64,
    /// The last task that arrived.
    pub(super) arrived: TaskId,
    /// Bytes of reports that rank 0 has not said to have passed on.
    under_way: u64,
}

impl Link {
    pub(super) fn new(fabric: Box<dyn Fabric>, ringers: Vec<Option<Ringer>>) -> Link {
        Link {
            rank: fabric.rank(),
            fabric: Some(fabric),
            ringers,
            lost: BTreeSet::new(),
            roster: Roster::default(),
            untold: Vec::new(),
            tell_at: None,
            running: BTreeSet::new(),
            unsettled: BTreeSet::new(),
            pending: 0,
            looking: false,
            stop: false,
            sent: 0,
            received: 0,
            arrived: 0,
            under_way: 0,
        }
    }

    /// Hands tasks to `to`, which is the only target of each.
    pub(super) fn hand(&mut self, to: Rank, tasks: &[ByteBuf]) -> Result<(), FabricError> {
        self.roster.hand(to, tasks.len());
        self.tell_with(&[to], tasks)
    }

    /// Whether a rank has something to do that it was handed already; on rank 0.
    pub(super) fn is_busy(&self, rank: Rank) -> bool {
        self.roster.is_busy(rank)
    }

    /// A task is about to be handed to these: those of them that live.
    pub(super) fn open(&mut self, id: TaskId, targets: &[Rank]) -> Vec<Rank> {
        let living: Vec<_> = targets.iter().copied().filter(|rank| !self.lost.contains(rank)).collect();
        self.roster.open(id, &living);
        living
    }

    /// Hands a task to each of `targets` but this rank.
    pub(super) fn fan_out(&mut self, id: TaskId, targets: &[Rank], task: ByteBuf) -> Result<(), FabricError> {
        let living = self.open(id, targets);
        self.tell_with(&living, &[task])
    }

    /// Sends one packet and rings for it.
    pub(super) fn post(&mut self, to: Rank, bytes: &[u8]) -> Result<(), FabricError> {
        if self.lost.contains(&to) {
            return Err(FabricError::Gone { rank: to });
        }
        self.fabric()?.send(to, bytes)?;
        self.sent += 1;
        match self.ring(to) {
            Rung::Heard => Ok(()),
            Rung::Owed => {
                self.nudge();
                Ok(())
            }
            Rung::Gone => {
                self.forget(to)?;
                Err(FabricError::Gone { rank: to })
            }
        }
    }

    /// Sends a report to rank 0 and keeps account of it.
    pub(super) fn report(&mut self, bytes: &[u8]) -> Result<(), FabricError> {
        self.post(0, bytes)?;
        self.under_way += bytes.len() as u64;
        self.progress().map(drop)
    }

    /// Whether reports have to wait until rank 0 has passed some on.
    pub(super) fn is_full(&self) -> bool {
        self.under_way >= WINDOW && !self.stop && !self.lost.contains(&0)
    }

    /// Rank 0 has passed on so many bytes of reports.
    pub(super) fn taken(&mut self, bytes: u64) {
        self.under_way = self.under_way.saturating_sub(bytes);
    }

    /// Tells `rank` that so many bytes of its reports have been passed on.
    pub(super) fn tell_taken(&mut self, rank: Rank, bytes: u64) -> Result<(), FabricError> {
        self.post_all(&[rank], &Packet::Taken { bytes })
    }

    /// The next packet that has arrived.
    pub(super) fn receive(&mut self) -> Result<Option<(Rank, Vec<u8>)>, FabricError> {
        let arrived = self.fabric()?.receive()?;
        self.received += u64::from(arrived.is_some());
        Ok(arrived)
    }

    /// Moves sends along, and wakes who carries to go on with that if some remain. Whether some
    /// were completed.
    pub(super) fn progress(&mut self) -> Result<bool, FabricError> {
        let before = self.pending;
        self.pending = self.fabric()?.progress()?;
        if self.pending > 0 {
            self.nudge();
        }
        Ok(self.pending < before)
    }

    /// A task arrived for this rank.
    pub(super) fn begin(&mut self, task: TaskId, targets: u32) {
        self.arrived = self.arrived.max(task);
        if targets > 1 {
            self.running.insert(task);
        }
    }

    /// This rank is done with `task`.
    pub(super) fn finish(&mut self, task: TaskId) {
        if self.running.remove(&task) {
            self.unsettled.insert(task);
            self.nudge();
        }
    }

    /// Every rank is done with `task`.
    pub(super) fn settle(&mut self, task: TaskId) {
        self.running.remove(&task);
        self.unsettled.remove(&task);
    }

    /// `rank` is done with `task`, as rank 0 hears.
    pub(super) fn done(&mut self, task: TaskId, rank: Rank) {
        let settled = self.roster.done(task, rank);
        self.keep_untold(settled);
    }

    /// When the targets of settled tasks are to be told.
    pub(super) fn tell_at(&self) -> Option<Instant> {
        self.tell_at
    }

    /// Tells the targets of settled tasks, on rank 0.
    pub(super) fn tell_settled(&mut self) -> Result<(), FabricError> {
        self.tell_with(&[], &[])
    }

    /// Hands `tasks` to each of `targets`, and tells them in the same packet what is settled; other targets of
    /// settled tasks are told in one of their own.
    fn tell_with(&mut self, targets: &[Rank], tasks: &[ByteBuf]) -> Result<(), FabricError> {
        self.tell_at = None;
        let untold = mem::take(&mut self.untold);
        for Settled { task, targets: concerned } in &untold {
            let others: Vec<_> = concerned.iter().copied().filter(|rank| !targets.contains(rank)).collect();
            self.post_all(
                &others,
                &Packet::Tasks { tasks: Cow::Borrowed(&[]), settled: Cow::Borrowed(&[*task]) },
            )?;
        }
        let settled = untold.iter().map(|settled| settled.task).collect();
        self.post_all(targets, &Packet::Tasks { tasks: Cow::Borrowed(tasks), settled })
    }

    /// `rank` has died: it gets nothing more, and nobody waits for it.
    pub(super) fn forget(&mut self, rank: Rank) -> Result<(), FabricError> {
        if rank == self.rank || !self.lost.insert(rank) {
            return Ok(());
        }
        self.fabric()?.lose(rank);
        if let Some(ringer) = self.ringers.get_mut(rank as usize) {
            *ringer = None;
        }
        if rank == 0 {
            // Nobody is left who could say that a task is settled.
            self.running.clear();
            self.unsettled.clear();
        }
        let settled = self.roster.lose(rank);
        self.keep_untold(settled);
        Ok(())
    }

    /// Those who have died.
    pub(super) fn lost(&self) -> impl Iterator<Item = Rank> {
        self.lost.iter().copied()
    }

    /// Whether, and how soon, MPI has to be moved along though no packet is announced.
    pub(super) fn look(&self) -> Option<Look> {
        if self.pending > 0 {
            Some(Look::Soon)
        } else {
            (!self.unsettled.is_empty()).then_some(Look::Sometimes)
        }
    }

    /// Whether a task of several targets runs here.
    pub(super) fn runs(&self) -> bool {
        !self.running.is_empty()
    }

    /// Whether sends are not complete.
    pub(super) fn sends_pending(&self) -> bool {
        self.pending > 0
    }

    /// Writes what can be written of owed rings.
    pub(super) fn ring_owed(&mut self) -> Result<(), FabricError> {
        let owing = |(to, ringer): (usize, &Option<Ringer>)| ringer.as_ref()?.owes().then_some(to);
        let owed: Vec<usize> = self.ringers.iter().enumerate().filter_map(owing).collect();
        for to in owed {
            let gone = self.ringers[to].as_mut().is_some_and(|ringer| ringer.settle() == Rung::Gone);
            if let (true, Ok(rank)) = (gone, Rank::try_from(to)) {
                self.forget(rank)?;
            }
        }
        Ok(())
    }

    /// The pipes to wait for, so that owed rings can be written.
    pub(super) fn owed_pipes(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.ringers.iter().flatten().filter(|ringer| ringer.owes()).map(AsFd::as_fd)
    }

    /// Wakes who carries by this rank's own doorbell.
    pub(super) fn wake(&mut self) {
        self.ring(self.rank);
    }

    /// The carrier, for good.
    pub(super) fn take_fabric(&mut self) -> Option<Box<dyn Fabric>> {
        self.fabric.take()
    }

    fn keep_untold(&mut self, settled: impl IntoIterator<Item = Settled>) {
        for settled in settled {
            self.settle(settled.task);
            self.untold.push(settled);
            self.tell_at.get_or_insert_with(|| Instant::now() + TELL_AFTER);
            self.nudge();
        }
    }

    /// Sends `packet` to each of `targets` that lives and is not this rank.
    fn post_all(&mut self, targets: &[Rank], packet: &Packet<'_>) -> Result<(), FabricError> {
        if targets.is_empty() {
            return Ok(());
        }
        let bytes = frame::pack(packet)?;
        let own = self.rank;
        for to in targets.iter().copied().filter(|to| *to != own) {
            match self.post(to, &bytes) {
                // A rank may die before anyone has said so.
                Ok(()) | Err(FabricError::Gone { .. }) => {}
                Err(FabricError::NoSuchRank { rank, size }) => {
                    tracing::warn!(rank, size, "a packet for a rank that does not exist is dropped");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Wakes who carries unless they will look by themselves.
    fn nudge(&mut self) {
        if !self.looking {
            self.looking = true;
            self.wake();
        }
    }

    fn ring(&mut self, to: Rank) -> Rung {
        match self.ringers.get_mut(to as usize) {
            Some(Some(ringer)) => ringer.ring(),
            _ => Rung::Gone,
        }
    }

    fn fabric(&mut self) -> Result<&mut Box<dyn Fabric>, FabricError> {
        self.fabric.as_mut().ok_or(FabricError::Ended(super::Ended::Stopped))
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Link")
            .field("rank", &self.rank)
            .field("lost", &self.lost)
            .field("running", &self.running)
            .field("unsettled", &self.unsettled)
            .field("pending", &self.pending)
            .finish_non_exhaustive()
    }
}
