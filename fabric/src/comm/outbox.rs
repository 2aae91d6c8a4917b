//! The way out: what the engine's threads have to report goes straight to rank 0, or from rank 0
//! straight to the kernel, without a detour through the comm thread.
//!
//! **Invariant**: when [`Outbox::report`] returns, the report is on its way, and reports of one
//! thread keep their order.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError};

use super::Shared;
use super::cargo::{Cargo, Position, is_shared};
use crate::frame::{self, FrameError, MAX_FRAME};
use crate::message::Rank;
use crate::message::report::{Event, Report};
use crate::message::task::{FromGateway, Packet, TaskId};
use crate::transport::FabricError;

/// What a frame may hold beside a packet's reports, in bytes.
const ENVELOPE: usize = 64;

/// Makes reports. Clones make them for the same rank.
#[derive(Debug, Clone)]
pub struct Outbox {
    shared: Arc<Shared>,
}

impl Outbox {
    pub(super) fn new(shared: Arc<Shared>) -> Outbox {
        Outbox { shared }
    }

    /// Sends one report to the kernel.
    ///
    /// # Errors
    /// As [`Outbox::report_all`].
    pub fn report(&self, report: &Report) -> Result<(), FabricError> {
        self.report_all(std::slice::from_ref(report))
    }

    /// Sends `reports` to the kernel, all or none. Blocks only while the kernel does not keep up.
    ///
    /// # Errors
    /// [`FabricError::Gone`] when rank 0 is dead: the lifeline is the way then.
    /// [`FabricError::Ended`] when nothing is carried any more, [`FabricError::Forked`] in a child of
    /// the engine's process; and what the carrier says.
    pub fn report_all(&self, reports: &[Report]) -> Result<(), FabricError> {
        // MPI, the doorbells and the lock are the parent's: a fork has copies of them, not shares.
        if std::process::id() != self.shared.process {
            return Err(FabricError::Forked);
        }
        self.shared.check()?;
        match &self.shared.gateway {
            Some(gateway) => {
                let frame = FromGateway::Reports { rank: self.shared.rank, reports: Cow::Borrowed(reports) };
                gateway.write(&frame::encode(&frame)?).map_err(FabricError::Ended)?;
            }
            None if self.carries() && reports.iter().any(is_shared) => self.ship(reports)?,
            None => self.post(&Packet::Reports(Cow::Borrowed(reports)))?,
        }
        for report in reports.iter().filter(|report| matches!(report.event, Event::Done { .. })) {
            self.shared.kept().tasks.remove(&report.task);
            let mut link = self.shared.link();
            link.finish(report.task);
            link.done(report.task, self.shared.rank);
        }
        Ok(())
    }

    /// Whether what is reported has been copied when [`Outbox::report`] returns, large buffers too.
    #[must_use]
    pub fn carries(&self) -> bool {
        self.shared.carries && self.shared.gateway.is_none()
    }

    /// The kernel has opened these memory files of reports: what is kept of them here may go.
    pub fn release(&self, descriptors: &[u32]) {
        let mut kept = self.shared.kept();
        for descriptor in descriptors {
            kept.reports.remove(descriptor);
        }
    }

    /// How many packets the carrier has sent and received for this rank.
    #[must_use]
    pub fn counters(&self) -> (u64, u64) {
        let link = self.shared.link();
        (link.sent, link.received)
    }

    /// The last task that arrived here.
    #[must_use]
    pub fn arrived(&self) -> TaskId {
        self.shared.link().arrived
    }

    /// These ranks have died: nothing is sent to them and nobody waits for them. What the kernel
    /// tells the gateway itself need not be repeated here; the death of rank 0 has to come this way.
    pub fn lose(&self, ranks: &[Rank]) {
        let mut link = self.shared.link();
        for rank in ranks {
            if let Err(error) = link.forget(*rank) {
                tracing::warn!(rank, %error, "cannot settle the tasks of a lost rank");
            }
        }
        link.wake();
        self.shared.room.notify_all();
    }

    /// Another thread has sent a task to the inbox: the engine may wait for packets at the moment.
    pub fn wake(&self) {
        if self.shared.baton.is_engines() {
            self.shared.link().wake();
        }
    }

    /// Sends the large buffers in pieces, then the reports that name them.
    fn ship(&self, reports: &[Report]) -> Result<(), FabricError> {
        let mut reports = reports.to_vec();
        let cargo = Cargo::of_reports(&mut reports);
        // Pieces of one rank belong to the reports that follow.
        let _turn = self.shared.shipping.lock().unwrap_or_else(PoisonError::into_inner);
        let mut position = Position::default();
        while let Some(piece) = cargo.as_ref().and_then(|cargo| cargo.piece(&mut position)) {
            self.post(&Packet::Piece(piece))?;
        }
        self.post(&Packet::Reports(Cow::Owned(reports)))
    }

    fn post(&self, packet: &Packet<'_>) -> Result<(), FabricError> {
        let bytes = frame::pack(packet)?;
        // Rank 0 passes it on in a frame, with a few words of its own.
        if bytes.len() > MAX_FRAME - ENVELOPE {
            return Err(FrameError::TooLarge { length: bytes.len() }.into());
        }
        self.shared.link_with_room()?.report(&bytes)
    }
}
