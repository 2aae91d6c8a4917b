//! Carrying: sleep until a ring, an order of the kernel or the next look; then carry what there is.
//!
//! **Invariant**: whoever carries sleeps without a limit unless a packet was announced, own sends are not
//! complete, or a task is done here and not everywhere. What arrives and makes no sense is dropped.

mod orders;

use std::fs::File;
use std::mem::{self, ManuallyDrop};
use std::os::fd::AsRawFd as _;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::backoff::{Backoff, Look};
use super::cargo::{Hold, Holds};
use super::link::{Link, TAKEN_AFTER};
use super::shipping::Shipping;
use super::{Ended, Shared};
use crate::doorbell::{Doorbell, Heard};
use crate::frame::{self, Frames};
use crate::message::Rank;
use crate::message::report::Event;
use crate::message::task::{FromGateway, Packet, Task, TaskId};
use crate::sys;
use crate::transport::FabricError;

/// How many packets are taken under one hold of the lock.
const BATCH: usize = 64;

/// How soon to look whether a task is done here and not everywhere. Most cells are done everywhere by
/// then, and on a machine with more ranks than cores a needless look is taken from a rank that works.
/// Each rank more makes it later, by what its report takes.
pub(super) fn first_look(size: u32) -> Duration {
    Duration::from_millis((4 + u64::from(size)).min(50))
}

/// How long rank 0 lets rings wait when all it has passed on are ends of tasks of engines that have more to do. What
/// comes meanwhile goes on together: a map of short tasks wakes rank 0, the kernel and the client less often, and takes
/// the processor less often from an engine. Where an engine is out of work, or has printed something, rings are heard.
const REST: Duration = Duration::from_micros(500);

/// How long a thread that is to end waits for its own sends.
const LAST_SENDS: Duration = Duration::from_secs(1);

/// What whoever carries needs. One thread has it at a time ([`super::baton`]).
#[derive(Debug)]
pub(super) struct Pump {
    shared: Arc<Shared>,
    /// To the others an end of the doorbell is the end of the process, which may have more to do than this.
    bell: ManuallyDrop<Doorbell>,
    /// None when nothing is carried any more.
    inbox: Option<Sender<Task>>,
    heard: Heard,
    orders: Frames,
    backoff: Backoff,
    /// What ranks are sent that do not share this one's memory.
    shipping: Shipping,
    /// What comes from such ranks.
    holds: Holds,
    /// Bytes of reports passed on, per rank, that the rank was not told of.
    taken: Vec<u64>,
    /// The last batch was full, so there may be more.
    more: bool,
    /// A task has arrived since the last sleep.
    fresh: bool,
    /// Until then rings may wait.
    rests_until: Option<Instant>,
    size: u32,
}

/// What woke the thread.
struct Woken {
    bell: bool,
    gateway: bool,
}

/// The comm thread: carries whenever the engine does not.
pub(super) fn run(shared: &Shared, pump: &Mutex<Pump>) {
    sys::prompt();
    while shared.ended.get().is_none() {
        {
            let mut pump = lock(pump);
            while shared.baton.is_threads() && pump.turn() {}
        }
        if shared.ended.get().is_none()
            && let Err(error) = shared.baton.relieve()
        {
            lock(pump).end(Ended::Fabric(format!("the timer: {error}")));
        }
    }
}

/// A packet is handled whole or the fabric is given up, so a poisoned lock is a lock.
pub(super) fn lock(pump: &Mutex<Pump>) -> MutexGuard<'_, Pump> {
    pump.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pump {
    pub(super) fn new(shared: Arc<Shared>, bell: Doorbell, inbox: Sender<Task>, size: u32) -> Pump {
        Pump {
            shared,
            bell: ManuallyDrop::new(bell),
            inbox: Some(inbox),
            heard: Heard::new(size),
            orders: Frames::default(),
            backoff: Backoff::default(),
            shipping: Shipping::default(),
            holds: Holds::default(),
            taken: vec![0; size as usize],
            more: false,
            fresh: false,
            rests_until: None,
            size,
        }
    }

    /// Sleeps until there is something to carry, and carries it; false when nothing is carried any more.
    pub(super) fn turn(&mut self) -> bool {
        self.go_on(Pump::try_turn)
    }

    /// Carries what has arrived, without sleeping.
    pub(super) fn look(&mut self) {
        self.go_on(|pump| pump.hear().and_then(|()| pump.carry()));
    }

    fn go_on(&mut self, carry: impl FnOnce(&mut Pump) -> Result<(), Ended>) -> bool {
        if self.inbox.is_none() {
            return false;
        }
        match carry(self) {
            Ok(()) => true,
            Err(ended) => {
                self.end(ended);
                false
            }
        }
    }

    fn end(&mut self, ended: Ended) {
        let Some(inbox) = self.inbox.take() else { return };
        if ended == Ended::Stopped && self.shared.link().tell_settled().is_ok() {
            self.last_sends();
        }
        if let (Ended::Fabric(_), Some(gateway)) = (&ended, &self.shared.gateway) {
            gateway.hang_up();
        }
        // Set before the inbox closes, so that who sees it closed can read why.
        self.shared.end(ended);
        drop(inbox);
    }

    fn try_turn(&mut self) -> Result<(), Ended> {
        let woken = self.sleep()?;
        if woken.bell {
            self.hear()?;
        }
        if woken.gateway {
            self.obey()?;
        }
        self.carry()
    }

    fn hear(&mut self) -> Result<(), Ended> {
        self.bell.hear(&mut self.heard).map_err(|error| Ended::Fabric(format!("the doorbell: {error}")))?;
        // This rank's own rings announce no packet: they only wake.
        self.heard.forget(self.shared.rank);
        Ok(())
    }

    fn sleep(&mut self) -> Result<Woken, Ended> {
        let shared = Arc::clone(&self.shared);
        let mut link = shared.link();
        if link.stop {
            return Err(Ended::Stopped);
        }
        link.ring_owed().map_err(broken)?;
        // What they have announced will not come.
        link.lost().for_each(|rank| self.heard.forget(rank));
        let rest = self.rests_until.and_then(|until| until.checked_duration_since(Instant::now()));
        let rest = rest.filter(|_| !self.heard.expects() && !link.sends_pending());
        let limit = self.patience(&link).into_iter().chain(rest).min();
        link.looking = limit.is_some();
        // The pipes stay open while they are waited for: duplicates, made only when rings are owed.
        let owed: Vec<_> = link.owed_pipes().filter_map(|pipe| pipe.try_clone_to_owned().ok()).collect();
        drop(link);

        let ring = if rest.is_some() { PollFlags::empty() } else { PollFlags::IN };
        let mut waits = vec![PollFd::new(&*self.bell, ring)];
        waits.extend(shared.gateway.iter().map(|gateway| PollFd::new(gateway, PollFlags::IN)));
        waits.extend(owed.iter().map(|pipe| PollFd::new(pipe, PollFlags::OUT)));
        match poll(&mut waits, limit.and_then(|limit| Timespec::try_from(limit).ok()).as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(Ended::Fabric(format!("poll: {error}"))),
        }
        let ready = |index: usize| waits.get(index).is_some_and(|wait| !wait.revents().is_empty());
        Ok(Woken { bell: ready(0), gateway: shared.gateway.is_some() && ready(1) })
    }

    /// How long to sleep if nothing wakes the thread; `None` is until something does.
    fn patience(&mut self, link: &Link) -> Option<Duration> {
        let fresh = mem::take(&mut self.fresh);
        let look = if self.heard.expects() { Some(Look::Soon) } else { link.look() };
        let next = match look {
            _ if self.more => Some(Duration::ZERO),
            // A short task is done everywhere by then, and its end need not wake this thread.
            None if fresh && link.runs() => Some(first_look(self.size)),
            Some(Look::Sometimes) if fresh => Some(first_look(self.size)),
            Some(look) => Some(self.backoff.next(look)),
            None => {
                self.backoff.reset();
                None
            }
        };
        let tell = link.tell_at().map(|at| at.saturating_duration_since(Instant::now()));
        next.into_iter().chain(tell).min()
    }

    fn deliver(&mut self, task: Task) -> Result<(), Ended> {
        self.shared.link().begin(task.id, task.targets);
        self.fresh = true;
        self.shared.baton.hand_over();
        let inbox = self.inbox.as_ref().ok_or(Ended::InboxClosed)?;
        inbox.send(task).map_err(|_closed| Ended::InboxClosed)
    }

    /// Takes the packets that are there, and moves the sends along.
    fn carry(&mut self) -> Result<(), Ended> {
        let mut arrived = Vec::new();
        {
            let mut link = self.shared.link();
            while arrived.len() < BATCH {
                let Some(packet) = link.receive().map_err(broken)? else { break };
                arrived.push(packet);
            }
            if link.progress().map_err(broken)? {
                self.backoff.reset();
            }
            if link.tell_at().is_some_and(|at| at <= Instant::now()) {
                link.tell_settled().map_err(broken)?;
            }
        }
        self.more = arrived.len() == BATCH;
        if arrived.is_empty() {
            return Ok(());
        }
        self.backoff.reset();
        let (mut frames, mut done, mut urgent) = (Vec::new(), Vec::new(), false);
        for (from, bytes) in arrived {
            self.heard.packet(from);
            let length = bytes.len() as u64;
            match frame::unpack(&bytes) {
                Ok(Packet::Tasks { tasks, settled }) => {
                    settled.iter().for_each(|task| self.shared.link().settle(*task));
                    for task in tasks.iter() {
                        match frame::unpack::<Task>(task) {
                            Ok(mut task) => {
                                let file = Hold::deliver_task(&mut self.holds, from, &mut task);
                                self.shared.kept().tasks.extend(file.map(|file| (task.id, file)));
                                self.deliver(task)?;
                            }
                            Err(error) => dropped(from, &error.to_string()),
                        }
                    }
                }
                Ok(Packet::Piece(piece)) => {
                    self.holds.entry(from).or_insert_with(Hold::new).add(piece);
                    match self.taken.get_mut(from as usize) {
                        Some(taken) if self.shared.rank == 0 => *taken += length,
                        _ => self.shared.link().tell_taken(from, length).map_err(broken)?,
                    }
                }
                Ok(Packet::Taken { bytes }) if self.shared.rank == 0 => {
                    self.shipping.taken(from, bytes);
                    self.shipping.send(&mut self.shared.link()).map_err(broken)?;
                }
                Ok(Packet::Taken { bytes }) => {
                    self.shared.link().taken(bytes);
                    self.shared.room.notify_all();
                }
                Ok(Packet::Reports(mut reports)) => {
                    if self.shared.carries {
                        let file = Hold::deliver_reports(&mut self.holds, from, reports.to_mut());
                        let place = |file: File| (file.as_raw_fd().cast_unsigned(), file);
                        self.shared.kept().reports.extend(file.map(place));
                    }
                    if let Some(taken) = self.taken.get_mut(from as usize) {
                        *taken += length;
                    }
                    let ended = reports.iter().filter(|report| matches!(report.event, Event::Done { .. }));
                    let before = done.len();
                    done.extend(ended.map(|report| (report.task, from)));
                    urgent |= done.len() == before;
                    match frame::encode(&FromGateway::Reports { rank: from, reports }) {
                        Ok(frame) => frames.extend(frame),
                        Err(error) => dropped(from, &error.to_string()),
                    }
                }
                Err(error) => dropped(from, &error.to_string()),
            }
        }
        self.pass_on(&frames, &done, urgent)
    }

    /// Reports go to the kernel first, then the ranks learn which tasks are settled. Some may be more `urgent` than the
    /// ends of tasks.
    fn pass_on(&mut self, frames: &[u8], done: &[(TaskId, Rank)], urgent: bool) -> Result<(), Ended> {
        if let (Some(gateway), false) = (&self.shared.gateway, frames.is_empty()) {
            gateway.write(frames)?;
        }
        let mut link = self.shared.link();
        for (task, rank) in done {
            link.done(*task, *rank);
        }
        let rests = !urgent && !done.is_empty() && done.iter().all(|(_, rank)| link.is_busy(*rank));
        self.rests_until = rests.then(|| Instant::now() + REST);
        for (rank, taken) in (0..).zip(&mut self.taken) {
            if *taken >= TAKEN_AFTER {
                link.tell_taken(rank, mem::take(taken)).map_err(broken)?;
            }
        }
        Ok(())
    }

    /// Gives own sends the time to complete, and takes what arrives meanwhile, for others wait too.
    fn last_sends(&mut self) {
        let until = Instant::now() + LAST_SENDS;
        while self.carry().is_ok() && self.shared.link().sends_pending() && Instant::now() < until {
            let pause = self.backoff.next(Look::Soon);
            let _ = poll(&mut [], Timespec::try_from(pause).ok().as_ref());
        }
    }
}

fn broken(error: FabricError) -> Ended {
    Ended::Fabric(error.to_string())
}

fn dropped(from: Rank, reason: &str) {
    tracing::warn!(from, reason, "a packet that makes no sense is dropped");
}
