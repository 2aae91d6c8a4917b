//! Which thread carries: an engine that waits for a task carries its packets itself, which saves waking the comm
//! thread and being woken by it; while the engine works, the comm thread does.
//!
//! **Invariant**: one thread carries, or the engine has a task and the relief is set: then the comm thread carries
//! from the moment it comes. A short task is over by then, and the comm thread has slept through it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io::{read, retry_on_intr};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

/// A timer of none is one that is switched off.
const NEVER: Duration = Duration::ZERO;
const AT_ONCE: Duration = Duration::from_nanos(1);

/// See the module.
#[derive(Debug)]
pub(super) struct Baton {
    holder: Mutex<Holder>,
    relief: OwnedFd,
    after: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// The engine works, and nobody carries until the relief comes.
    Nobody,
    /// The engine, which waits for a task.
    Engine,
    /// The comm thread. Whether it is to leave the carrying to the engine with the next task.
    Thread { wanted: bool },
}

impl Baton {
    /// In the hands of the comm thread, which relieves an engine `after` it has taken a task.
    pub(super) fn new(after: Duration) -> io::Result<Baton> {
        let relief = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
        Ok(Baton { holder: Mutex::new(Holder::Thread { wanted: false }), relief, after })
    }

    /// The engine waits for a task: whether it is to carry meanwhile. Otherwise it may from the next task on.
    pub(super) fn claim(&self) -> bool {
        let mut holder = self.holder();
        match *holder {
            Holder::Nobody | Holder::Engine => {
                *holder = Holder::Engine;
                self.relieve_after(NEVER);
                true
            }
            Holder::Thread { .. } => {
                *holder = Holder::Thread { wanted: true };
                false
            }
        }
    }

    /// The engine has a task: whether nobody carries until the relief comes.
    pub(super) fn let_go(&self) -> bool {
        let mut holder = self.holder();
        match *holder {
            Holder::Thread { .. } => {
                *holder = Holder::Thread { wanted: false };
                false
            }
            Holder::Nobody | Holder::Engine => {
                *holder = Holder::Nobody;
                self.relieve_after(self.after);
                true
            }
        }
    }

    /// A task is about to be delivered. To be called before: the engine may be back at once and wait again.
    pub(super) fn hand_over(&self) {
        let mut holder = self.holder();
        if *holder == (Holder::Thread { wanted: true }) {
            *holder = Holder::Nobody;
        }
    }

    /// Whether the engine carries, so that whoever has something for it has to ring.
    pub(super) fn is_engines(&self) -> bool {
        *self.holder() == Holder::Engine
    }

    /// Whether the comm thread carries.
    pub(super) fn is_threads(&self) -> bool {
        matches!(*self.holder(), Holder::Thread { .. })
    }

    /// Waits, on the comm thread, for the relief, and takes over if nobody carries.
    pub(super) fn relieve(&self) -> io::Result<()> {
        retry_on_intr(|| read(&self.relief, &mut [0; size_of::<u64>()]))?;
        let mut holder = self.holder();
        if *holder == Holder::Nobody {
            *holder = Holder::Thread { wanted: false };
        }
        Ok(())
    }

    /// The relief comes at once: somebody waits for what only packets can bring.
    pub(super) fn hurry(&self) {
        self.relieve_after(AT_ONCE);
    }

    fn relieve_after(&self, time: Duration) {
        let it_value = Timespec { tv_sec: 0, tv_nsec: i64::from(time.subsec_nanos()) };
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        // It fails for a time that is none, which this is not.
        let _ =
            timerfd_settime(&self.relief, TimerfdTimerFlags::empty(), &Itimerspec { it_interval, it_value });
    }

    fn holder(&self) -> MutexGuard<'_, Holder> {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
