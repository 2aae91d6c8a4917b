//! The board: shared memory in which the ranks of a host count who has come to a communicator's next collective.
//!
//! **Invariant**: one word holds both how often all have come and how many have come since, so that coming and
//! withdrawing are one atomic step each and a rank that withdraws is never counted on.

use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Marks a communicator that has no place on the board.
pub(super) const NOWHERE: u16 = u16::MAX;

/// The whole: a head, then places.
pub(super) struct Board {
    head: &'static Head,
    places: &'static [Place],
}

#[repr(C, align(64))]
struct Head {
    /// How often a communicator was put out of step, by any rank.
    alarms: AtomicU32,
}

/// One communicator's place, alone on its cache line.
#[repr(C, align(64))]
pub(super) struct Place {
    /// The round in the upper half, those who have come in the lower.
    word: AtomicU64,
    /// How many ranks have not freed this communicator; 0 is a free place.
    holders: AtomicU32,
    /// How many ranks it has.
    size: AtomicU32,
    /// A collective was interrupted: the ranks no longer agree which is the next.
    poisoned: AtomicU32,
    /// A library made it for its own messages, which follow each other as strictly as collectives: one more than
    /// the place of the communicator that it made it for.
    private: AtomicU32,
}

/// What came of coming to a collective.
pub(super) enum Came {
    /// Everybody is here.
    Complete,
    /// Others are awaited, in this round.
    Early(u32),
}

const ROUND: u64 = 1 << 32;

impl Board {
    /// # Safety
    /// `memory` is null, or `length` bytes that stay mapped and that only boards use; zero when the first one did.
    pub(super) unsafe fn new(memory: *mut u8, length: usize) -> Option<Board> {
        let places = (length / size_of::<Place>()).checked_sub(1)?.min(NOWHERE as usize);
        if memory.is_null() || !memory.addr().is_multiple_of(align_of::<Head>()) {
            return None;
        }
        // SAFETY: aligned, large enough and for ever mapped; atomics alone, for which every value is valid.
        unsafe {
            let head = &*memory.cast::<Head>();
            let places = std::slice::from_raw_parts(memory.add(size_of::<Head>()).cast(), places);
            Some(Board { head, places })
        }
    }

    pub(super) fn place(&self, index: u16) -> Option<&'static Place> {
        self.places.get(usize::from(index))
    }

    /// Takes the first place for the world. Every rank does, with the same outcome.
    pub(super) fn take_first(&self, holders: u32) -> u16 {
        self.places.first().map_or(NOWHERE, |place| {
            place.holders.store(holders, Ordering::SeqCst);
            place.size.store(holders, Ordering::SeqCst);
            0
        })
    }

    /// Takes a free place for a communicator of so many ranks; one of them does this for all.
    pub(super) fn take(&self, holders: u32) -> u16 {
        let free = |place: &&Place| {
            place.holders.compare_exchange(0, holders, Ordering::SeqCst, Ordering::Relaxed).is_ok()
        };
        let Some((index, place)) = (0..).zip(self.places).skip(1).find(|(_, place)| free(place)) else {
            return NOWHERE;
        };
        place.size.store(holders, Ordering::SeqCst);
        place.word.store(0, Ordering::SeqCst);
        place.poisoned.store(0, Ordering::SeqCst);
        place.private.store(0, Ordering::SeqCst);
        index
    }

    /// One of its ranks has freed the communicator.
    pub(super) fn give_back(&self, index: u16) {
        if let Some(place) = self.place(index) {
            place.holders.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// A communicator is out of step from here on, for all its ranks.
    pub(super) fn poison(&self, place: &Place) {
        place.poisoned.store(1, Ordering::SeqCst);
        if let Some(owner) = self.owner(place) {
            owner.poisoned.store(1, Ordering::SeqCst);
        }
        self.head.alarms.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn is_poisoned(&self, place: &Place) -> bool {
        let poisoned = |place: &Place| place.poisoned.load(Ordering::Acquire) != 0;
        poisoned(place) || self.owner(place).is_some_and(poisoned)
    }

    /// A library keeps `place` for its own messages about `owner`.
    pub(super) fn keep_private(&self, place: &Place, owner: &Place) {
        let index = (ptr::from_ref(owner).addr() - self.places.as_ptr().addr()) / size_of::<Place>();
        place.private.store(u32::try_from(index + 1).unwrap_or(0), Ordering::SeqCst);
    }

    fn owner(&self, place: &Place) -> Option<&'static Place> {
        self.place(u16::try_from(place.private.load(Ordering::Acquire).checked_sub(1)?).ok()?)
    }

    pub(super) fn alarms(&self) -> u32 {
        self.head.alarms.load(Ordering::Acquire)
    }
}

impl Place {
    /// This rank has come.
    pub(super) fn come(&self) -> Came {
        let before = self.word.fetch_add(1, Ordering::AcqRel);
        let (round, come) = ((before >> 32) as u32, before as u32);
        if come + 1 < self.size() {
            return Came::Early(round);
        }
        // Nobody comes to a full round or withdraws from it, so the word is this rank's to set.
        self.word.store((before & !(ROUND - 1)).wrapping_add(ROUND), Ordering::Release);
        Came::Complete
    }

    /// Whether all have come to `round`.
    pub(super) fn is_complete(&self, round: u32) -> bool {
        (self.word.load(Ordering::Acquire) >> 32) as u32 != round
    }

    /// This rank goes again, unless all have come meanwhile: whether it went.
    pub(super) fn withdraw(&self, round: u32) -> bool {
        let mut word = self.word.load(Ordering::Acquire);
        while (word >> 32) as u32 == round && (word as u32) < self.size() {
            match self.word.compare_exchange_weak(word, word - 1, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    fn size(&self) -> u32 {
        self.size.load(Ordering::Relaxed)
    }

    pub(super) fn is_private(&self) -> bool {
        self.private.load(Ordering::Acquire) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> Board {
        let memory = vec![0_u64; 64 * 8].leak();
        let start = memory.as_mut_ptr().cast::<u8>();
        let shift = start.align_offset(64);
        // SAFETY: leaked, zero, aligned; at least seven lines are left.
        unsafe { Board::new(start.add(shift), 64 * 63) }.unwrap()
    }

    #[test]
    fn all_come_or_one_withdraws() {
        let board = board();
        let place = board.place(board.take(3)).unwrap();
        assert!(matches!(place.come(), Came::Early(0)));
        assert!(matches!(place.come(), Came::Early(0)));
        assert!(place.withdraw(0) && !place.is_complete(0));
        assert!(matches!(place.come(), Came::Early(0)));
        assert!(matches!(place.come(), Came::Complete));
        assert!(place.is_complete(0) && !place.withdraw(0), "nobody withdraws from a complete round");
        assert!(matches!(place.come(), Came::Early(1)));
    }

    #[test]
    fn a_communicator_and_what_a_library_made_for_it_are_poisoned_together() {
        let board = board();
        let [owner, private, other] = [(); 3].map(|()| board.place(board.take(2)).unwrap());
        board.keep_private(private, owner);
        board.poison(private);
        assert!(board.is_poisoned(private) && board.is_poisoned(owner) && !board.is_poisoned(other));
        assert!(private.is_private() && !owner.is_private());
    }

    #[test]
    fn a_place_is_free_when_all_have_given_it_back() {
        let board = board();
        let first = board.take(2);
        board.poison(board.place(first).unwrap());
        board.give_back(first);
        assert_ne!(board.take(2), first);
        board.give_back(first);
        assert_eq!(board.take(1), first);
        assert!(!board.is_poisoned(board.place(first).unwrap()), "a new communicator is a clean one");
        while board.take(1) != NOWHERE {}
    }
}
