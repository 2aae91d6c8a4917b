//! The in-process twin of MPI: a world of N ends over channels, so that whole runs from kernel to
//! engine are tested in one process.
//!
//! **Invariant**: behaves as [`crate::transport::Fabric`] says, with sends that complete at once.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::message::Rank;
use crate::transport::{Fabric, FabricError};

/// One rank of a world inside one process.
#[derive(Debug)]
pub struct Twin {
    rank: Rank,
    arriving: Receiver<(Rank, Vec<u8>)>,
    peers: Vec<Sender<(Rank, Vec<u8>)>>,
    lost: BTreeSet<Rank>,
}

impl Twin {
    /// A world of `size` ranks, in order.
    #[must_use]
    pub fn world(size: u32) -> Vec<Twin> {
        let (peers, arriving): (Vec<_>, Vec<_>) = (0..size).map(|_| channel()).unzip();
        let end = |(rank, arriving)| Twin { rank, arriving, peers: peers.clone(), lost: BTreeSet::new() };
        (0..size).zip(arriving).map(end).collect()
    }
}

impl Fabric for Twin {
    fn rank(&self) -> Rank {
        self.rank
    }

    fn size(&self) -> u32 {
        u32::try_from(self.peers.len()).unwrap_or(u32::MAX)
    }

    fn library(&self) -> &str {
        "in-process twin"
    }

    /// Nothing to wait for: every end exists as soon as one does.
    fn barrier(&mut self) -> Result<(), FabricError> {
        Ok(())
    }

    fn send(&mut self, to: Rank, bytes: &[u8]) -> Result<(), FabricError> {
        let Some(peer) = self.peers.get(to as usize) else {
            return Err(FabricError::NoSuchRank { rank: to, size: self.size() });
        };
        if !self.lost.contains(&to) {
            // As with MPI, a send to a rank that has ended returns as any other.
            let _ = peer.send((self.rank, bytes.to_vec()));
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<Option<(Rank, Vec<u8>)>, FabricError> {
        Ok(self.arriving.try_recv().ok())
    }

    fn progress(&mut self) -> Result<usize, FabricError> {
        Ok(0)
    }

    fn lose(&mut self, rank: Rank) {
        self.lost.insert(rank);
    }

    fn finalize(self: Box<Self>) -> Result<(), FabricError> {
        if self.lost.is_empty() {
            Ok(())
        } else {
            Err(FabricError::Lost { ranks: self.lost.into_iter().collect() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_keep_their_order_and_their_sender() {
        let mut world = Twin::world(3);
        for byte in 0..5 {
            world[2].send(0, &[byte]).unwrap();
        }
        world[1].send(0, b"one").unwrap();
        let got: Vec<_> = std::iter::from_fn(|| world[0].receive().unwrap()).collect();
        let from_two: Vec<_> = (0..5).map(|byte| (2, vec![byte])).collect();
        assert_eq!(got[..5], from_two[..]);
        assert_eq!(got[5], (1, b"one".to_vec()));
        assert!(matches!(world[0].send(3, b""), Err(FabricError::NoSuchRank { rank: 3, size: 3 })));
    }
}
