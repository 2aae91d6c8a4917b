//! Rank 0's way to ranks that do not share its memory: what each is to get, in order, tasks and the pieces of
//! their large buffers.
//!
//! **Invariant**: tasks of one rank keep their order; each rank has a few pieces under way and no more, so that
//! one that takes none delays no other.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::cargo::{Cargo, PIECE, Position};
use super::link::Link;
use crate::frame;
use crate::message::Rank;
use crate::message::task::Packet;
use crate::transport::FabricError;

/// How many bytes of pieces a rank may have under way.
const WINDOW: u64 = 4 * PIECE;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Shipping {
    lanes: BTreeMap<Rank, Lane>,
}

#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Item>,
    /// Bytes of pieces that the rank has not said to have.
    under_way: u64,
}

#[derive(Debug)]
enum Item {
    Cargo(Arc<Cargo>, Position),
    Packet(Arc<[u8]>),
}

impl Shipping {
    /// A packet for a rank, and what has to be there before it.
    pub(super) fn add(&mut self, to: Rank, cargo: Option<&Arc<Cargo>>, packet: &Arc<[u8]>) {
        let lane = self.lanes.entry(to).or_default();
        lane.waiting.extend(cargo.map(|cargo| Item::Cargo(Arc::clone(cargo), Position::default())));
        lane.waiting.push_back(Item::Packet(Arc::clone(packet)));
    }

    /// A rank has so many bytes of pieces.
    pub(super) fn taken(&mut self, from: Rank, bytes: u64) {
        if let Some(lane) = self.lanes.get_mut(&from) {
            lane.under_way = lane.under_way.saturating_sub(bytes);
        }
    }

    /// A rank has died.
    pub(super) fn forget(&mut self, rank: Rank) {
        self.lanes.remove(&rank);
    }

    /// Sends what there is room for.
    pub(super) fn send(&mut self, link: &mut Link) -> Result<(), FabricError> {
        let mut gone = Vec::new();
        for (to, lane) in &mut self.lanes {
            match lane.send(*to, link) {
                Ok(()) => {}
                // A rank may die before anyone has said so.
                Err(FabricError::Gone { rank }) => gone.push(rank),
                Err(FabricError::NoSuchRank { rank, size }) => {
                    tracing::warn!(rank, size, "a packet for a rank that does not exist is dropped");
                    gone.push(rank);
                }
                Err(error) => return Err(error),
            }
        }
        gone.into_iter().for_each(|rank| self.forget(rank));
        self.lanes.retain(|_, lane| lane.under_way > 0 || !lane.waiting.is_empty());
        Ok(())
    }
}

impl Lane {
    fn send(&mut self, to: Rank, link: &mut Link) -> Result<(), FabricError> {
        while let Some(item) = self.waiting.front_mut() {
            match item {
                Item::Packet(packet) => {
                    link.post(to, packet)?;
                    self.waiting.pop_front();
                }
                Item::Cargo(..) if self.under_way >= WINDOW => break,
                Item::Cargo(cargo, position) => {
                    let Some(piece) = cargo.piece(position) else {
                        self.waiting.pop_front();
                        continue;
                    };
                    let packet = frame::pack(&Packet::Piece(piece))?;
                    self.under_way += packet.len() as u64;
                    link.post(to, &packet)?;
                }
            }
        }
        Ok(())
    }
}
