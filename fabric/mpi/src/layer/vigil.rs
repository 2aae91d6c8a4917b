//! How a call waits: it looks as often as MPI itself would at first, then lets others run, then ever more rarely;
//! and it notices what ends the wait.
//!
//! **Invariant**: a wait that was long is late by less than a sixtieth of it, and by at most a millisecond.

use std::ffi::c_int;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fabric::abi::TOO_LATE;
use mpi::ffi;

use super::{SIGNALLED, STATE, State, comms, errors, escape, lost};

/// Looks without a pause. Where there are more ranks than cores, the one that is waited for may need this core.
const AT_ONCE: u32 = 4000;
const AT_ONCE_IN_A_CROWD: u32 = 16;

/// How long others are let run before the wait sleeps.
const AWAKE: Duration = Duration::from_millis(2);

const SHORTEST: Duration = Duration::from_micros(50);
const LONGEST: Duration = Duration::from_millis(1);

/// How often Python is asked for signals that nobody has told of: the user's own alarms, say.
const ASK: Duration = Duration::from_millis(100);

/// A rank that finds its communicator poisoned by another gives its own interrupt this long to come.
const OWN_INTERRUPT: Duration = Duration::from_millis(400);

/// Why a wait ends without what was waited for.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Stop {
    /// Python has raised.
    Interrupted,
    /// The communicator is out of step.
    Poisoned,
    /// A rank that is waited for has died.
    Lost,
}

impl Stop {
    /// The call fails.
    pub(super) fn raise(self, comm: ffi::MPI_Comm) -> c_int {
        let Some(state) = STATE.get() else { return ffi::MPI_ERR_OTHER as c_int };
        let code = match self {
            Stop::Interrupted => state.errors.interrupted,
            Stop::Poisoned => state.errors.poisoned,
            Stop::Lost => state.errors.lost,
        };
        errors::raise(comm, code)
    }
}

/// Whom a wait depends on.
#[derive(Clone, Copy)]
pub(super) enum On {
    /// Every rank of the communicator.
    All,
    /// One rank of it, or a wildcard.
    Peer(c_int),
}

/// One wait on a communicator.
pub(super) struct Vigil {
    comm: ffi::MPI_Comm,
    on: On,
    looks: u32,
    since: Option<Instant>,
    /// What was known of alarms and deaths when it was last looked into.
    known: (u32, u32),
    poisoned_since: Option<Instant>,
    /// A signal came while this slept, or it is time to ask whether one came while it did not.
    ask: bool,
    asked: Option<Instant>,
}

impl Vigil {
    /// What speaks against beginning at all, or the wait.
    pub(super) fn begin(comm: ffi::MPI_Comm, on: On) -> Result<Vigil, c_int> {
        if escape::has_left() {
            return Err(Stop::Lost.raise(comm));
        }
        let mut vigil = Vigil {
            comm,
            on,
            looks: 0,
            since: None,
            known: (0, 0),
            poisoned_since: None,
            ask: false,
            asked: None,
        };
        match STATE.get().and_then(|state| vigil.trouble(state)) {
            Some(stop) if errors::may_fail(comm) => Err(stop.raise(comm)),
            _ => Ok(vigil),
        }
    }

    /// A look was in vain: pauses, then says whether to give up. `can_stop` says whether that is possible now.
    pub(super) fn pause(&mut self, can_stop: bool) -> Option<Stop> {
        let state = STATE.get()?;
        self.rest(state);
        if !can_stop {
            return None;
        }
        if (self.ask || SIGNALLED.load(Ordering::Relaxed)) && self.is_interrupted(state) {
            self.fall_out_of_step(state);
            return Some(Stop::Interrupted);
        }
        match self.trouble(state)? {
            _ if !errors::may_fail(self.comm) => None,
            // Whoever runs in the same cell is interrupted too, and is to say so.
            Stop::Poisoned if state.is_main() => {
                let since = *self.poisoned_since.get_or_insert_with(Instant::now);
                self.known = (0, 0);
                (since.elapsed() > OWN_INTERRUPT).then_some(Stop::Poisoned)
            }
            stop => Some(stop),
        }
    }

    /// What is wrong with the communicator, if anything has changed since the last look.
    fn trouble(&mut self, state: &State) -> Option<Stop> {
        let now = (state.board.as_ref().map_or(0, |board| board.alarms()), lost::count());
        if now == self.known {
            return None;
        }
        self.known = now;
        if now.1 > 0 {
            let lost = match self.on {
                On::All => lost::takes_part(self.comm),
                On::Peer(peer) => lost::is(self.comm, peer),
            };
            if lost {
                return Some(Stop::Lost);
            }
        }
        let (place, board) = (comms::place(state, self.comm)?, state.board.as_ref()?);
        let concerned = matches!(self.on, On::All) || place.is_private();
        (concerned && board.is_poisoned(place)).then_some(Stop::Poisoned)
    }

    /// A library's messages that were interrupted are not made up for.
    fn fall_out_of_step(&self, state: &State) {
        if let (On::Peer(_), Some(board), Some(place)) =
            (self.on, &state.board, comms::place(state, self.comm))
            && place.is_private()
        {
            board.poison(place);
        }
    }

    /// Asks Python about signals; true when that raised, and then the call is to fail.
    fn is_interrupted(&mut self, state: &State) -> bool {
        if !state.is_main() {
            return false;
        }
        self.ask = false;
        errors::may_fail(self.comm) && state.has_python_raised()
    }

    fn rest(&mut self, state: &State) {
        self.looks += 1;
        if self.looks < if state.crowded { AT_ONCE_IN_A_CROWD } else { AT_ONCE } {
            return std::hint::spin_loop();
        }
        let waited = self.since.get_or_insert_with(Instant::now).elapsed();
        if waited < AWAKE {
            std::thread::yield_now();
            return;
        }
        let time = (waited / 64).clamp(SHORTEST, LONGEST);
        let time = libc::timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() };
        // SAFETY: the time lives through the call; what is left of it is not asked for.
        self.ask |= unsafe { libc::nanosleep(&time, std::ptr::null_mut()) } != 0;
        let asked = self.asked.get_or_insert_with(Instant::now);
        if asked.elapsed() > ASK {
            *asked = Instant::now();
            self.ask = true;
        }
    }
}

/// What was waited for has come after all, though Python has raised: it will do so after the call.
pub(super) fn too_late() {
    if let Some(signals) = STATE.get().and_then(|state| state.signals) {
        // SAFETY: as above.
        unsafe { signals(TOO_LATE) };
    }
}
