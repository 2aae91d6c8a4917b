//! Carries tasks to engines and their reports back, while Python is busy with whatever it is busy with.
//!
//! ```text
//!  kernel ═ gateway socket ═► rank 0's comm thread ─ packet + ring ─► pump ─► inbox ─► Python
//!         ◄════════════════   (or rank 0's Python)  ◄─ packet + ring ──── Outbox::report ◄───
//! ```
//!
//! A rank's [`pump::Pump`] is worked by the engine's thread while it waits in its [`Inbox`], else by the comm thread.
//!
//! **Invariant**: reports of one rank reach the kernel in the order in which they were made, and
//! who carries sleeps whenever nothing is under way. **Who owns what**: [`Comm`] owns the comm thread;
//! [`baton::Baton`] says whose the pump is; the carrier, the ringers and the accounts of open tasks are one
//! [`link::Link`] behind one lock, which whoever carries and every [`Outbox`] take for a few system calls at a time.
//! **Boundary**: no Python and no interrupts: those come by lifeline.

mod backoff;
mod baton;
mod cargo;
mod gateway;
mod inbox;
mod link;
mod outbox;
mod pump;
mod roster;
mod shipping;

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;

use crate::doorbell::{Doorbell, Ringer};
use crate::message::task::{Task, TaskId};
use crate::sys;
use crate::transport::{Fabric, FabricError};
use baton::Baton;
use gateway::Gateway;
pub use inbox::Inbox;
use link::Link;
pub use outbox::Outbox;
use pump::Pump;

/// The running comm thread of one rank.
#[derive(Debug)]
pub struct Comm {
    shared: Arc<Shared>,
    pump: Arc<Mutex<Pump>>,
    thread: JoinHandle<()>,
}

/// Why a comm thread has ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// [`Comm::stop`] was called.
    #[error("it was stopped")]
    Stopped,
    /// The gateway socket ended: the kernel is gone or has let go.
    #[error("the kernel has closed the gateway socket")]
    KernelGone,
    /// The gateway socket failed or carried what is not the protocol.
    #[error("the gateway socket failed: {0}")]
    Gateway(String),
    /// The carrier or the doorbell failed.
    #[error("{0}")]
    Fabric(String),
    /// Nobody takes tasks from the inbox any more.
    #[error("the engine takes no more tasks")]
    InboxClosed,
}

impl Comm {
    /// Waits until every rank is here, then starts the thread. `gateway` is the socket to the
    /// kernel, on rank 0. With `carries` the ranks do not share memory with each other, and large buffers travel
    /// with the packets. The sender `inbox` is dropped when the thread ends, whatever the reason
    /// ([`Comm::reason`]).
    ///
    /// # Errors
    /// What the carrier's barrier says, and [`FabricError::Io`] when a doorbell cannot be opened or
    /// no thread is to be had.
    pub fn start(
        mut fabric: Box<dyn Fabric>,
        bell: Doorbell,
        gateway: Option<UnixStream>,
        inbox: Sender<Task>,
        carries: bool,
    ) -> Result<(Comm, Outbox), FabricError> {
        // Every doorbell is created before its owner comes here, so after the barrier all exist.
        fabric.barrier()?;
        let (rank, size) = (fabric.rank(), fabric.size());
        let gateway = gateway.map(Gateway::new).transpose()?;
        let engine_carries = gateway.is_none() && !carries;
        let baton = Baton::new(pump::first_look(size)).map_err(FabricError::io("cannot make a timer"))?;
        let shared = Arc::new(Shared {
            rank,
            link: Mutex::new(Link::new(fabric, ringers(&bell, rank, size)?)),
            gateway,
            carries,
            engine_carries,
            baton,
            shipping: Mutex::default(),
            kept: Mutex::default(),
            room: Condvar::new(),
            ended: OnceLock::new(),
            process: std::process::id(),
        });
        let pump = Arc::new(Mutex::new(Pump::new(Arc::clone(&shared), bell, inbox, size)));
        let for_thread = (Arc::clone(&shared), Arc::clone(&pump));
        let thread = sys::spawn("comm", move || pump::run(&for_thread.0, &for_thread.1))
            .map_err(FabricError::io("cannot start the comm thread"))?;
        let outbox = Outbox::new(Arc::clone(&shared));
        Ok((Comm { shared, pump, thread }, outbox))
    }

    /// Where one thread waits for tasks: `arriving` is the other end of the `inbox` that [`Comm::start`] was given.
    #[must_use]
    pub fn inbox(&self, arriving: Receiver<Task>) -> Inbox {
        Inbox::new(arriving, Arc::clone(&self.shared), Arc::clone(&self.pump))
    }

    /// Ends the thread and returns the carrier, to be finalised by the thread that started it.
    /// Reports made from now on are refused.
    #[must_use]
    pub fn stop(self) -> Box<dyn Fabric> {
        {
            let mut link = self.shared.link();
            link.stop = true;
            link.wake();
        }
        self.shared.baton.hurry();
        if self.thread.join().is_err() {
            tracing::error!("the comm thread panicked");
        }
        self.shared.link().take_fabric().expect("taken here alone, and `stop` consumes the one owner")
    }

    /// Why the thread has ended; `None` while it runs.
    #[must_use]
    pub fn reason(&self) -> Option<Ended> {
        self.shared.ended.get().cloned()
    }
}

/// Opens the doorbells that this rank rings: its own, and in the star around rank 0 that of rank 0,
/// or of everyone.
fn ringers(bell: &Doorbell, rank: u32, size: u32) -> Result<Vec<Option<Ringer>>, FabricError> {
    let rings = |to| rank == 0 || to == 0 || to == rank;
    (0..size).map(|to| rings(to).then(|| bell.ringer(to)).transpose()).collect()
}

/// What the comm thread, the inbox and the outboxes have in common.
#[derive(Debug)]
struct Shared {
    rank: u32,
    link: Mutex<Link>,
    gateway: Option<Gateway>,
    /// Large buffers travel with the packets.
    carries: bool,
    /// The engine carries while it waits for a task.
    engine_carries: bool,
    baton: Baton,
    /// Held by who sends pieces and the reports that name them.
    shipping: Mutex<()>,
    kept: Mutex<Kept>,
    /// Notified when the link may have room for reports again, or never will.
    room: Condvar,
    ended: OnceLock<Ended>,
    process: u32,
}

/// Files of large buffers that have arrived, as long as somebody may open them.
#[derive(Debug, Default)]
struct Kept {
    /// Of tasks that have not ended here.
    tasks: HashMap<TaskId, File>,
    /// Of reports that the kernel has not taken over, by descriptor; on rank 0.
    reports: HashMap<u32, File>,
}

impl Shared {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The link is consistent after every statement that may panic, so a poisoned lock is a lock.
    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The link, when another report may be put under way.
    fn link_with_room(&self) -> Result<MutexGuard<'_, Link>, FabricError> {
        let full = |link: &mut Link| {
            let full = link.is_full() && self.ended.get().is_none();
            if full {
                self.baton.hurry();
            }
            full
        };
        let link = self.room.wait_while(self.link(), full).unwrap_or_else(PoisonError::into_inner);
        self.check()?;
        Ok(link)
    }

    /// Whether the comm thread still runs.
    fn check(&self) -> Result<(), FabricError> {
        self.ended.get().map_or(Ok(()), |ended| Err(FabricError::Ended(ended.clone())))
    }

    /// The comm thread has ended. Under the lock, so that nobody begins to wait for room after this.
    fn end(&self, ended: Ended) {
        let _link = self.link();
        let _ = self.ended.set(ended);
        self.room.notify_all();
        self.baton.hurry();
    }
}
