//! The comm thread's loop: sleep until a ring, an order of the kernel or the next look; then carry
//! what there is.
//!
//! **Invariant**: it sleeps without a limit unless a packet was announced, own sends are not
//! complete, or a task is done here and not everywhere. What arrives and makes no sense is dropped.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::mem;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde_bytes::ByteBuf;

use super::backoff::{Backoff, Look};
use super::cargo::{Cargo, Hold, Holds};
use super::gateway::Gateway;
use super::link::{Link, TAKEN_AFTER};
use super::shipping::Shipping;
use super::{Ended, Shared};
use crate::doorbell::{Doorbell, Heard};
use crate::frame::{self, FrameError, Frames};
use crate::message::Rank;
use crate::message::report::Event;
use crate::message::task::{FromGateway, Packet, Task, TaskId, ToGateway};
use crate::sys;
use crate::transport::FabricError;

/// How many packets are taken under one hold of the lock.
const BATCH: usize = 64;

/// How soon to look whether a task is done here and not everywhere. Most cells are done everywhere by
/// then, and on a machine with more ranks than cores a needless look is taken from a rank that works.
/// Each rank more makes it later, by what its report takes.
fn first_look(size: u32) -> Duration {
    Duration::from_millis((4 + u64::from(size)).min(50))
}

/// How long a thread that is to end waits for its own sends.
const LAST_SENDS: Duration = Duration::from_secs(1);

/// The comm thread.
pub(super) struct Pump {
    shared: Arc<Shared>,
    bell: Doorbell,
    inbox: Sender<Task>,
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
    size: u32,
}

/// What woke the thread.
struct Woken {
    bell: bool,
    gateway: bool,
}

impl Pump {
    pub(super) fn new(shared: Arc<Shared>, bell: Doorbell, inbox: Sender<Task>, size: u32) -> Pump {
        Pump {
            shared,
            bell,
            inbox,
            heard: Heard::new(size),
            orders: Frames::default(),
            backoff: Backoff::default(),
            shipping: Shipping::default(),
            holds: Holds::default(),
            taken: vec![0; size as usize],
            more: false,
            fresh: false,
            size,
        }
    }

    pub(super) fn run(mut self) {
        sys::prompt();
        let ended = loop {
            if let Err(ended) = self.turn() {
                break ended;
            }
        };
        if ended == Ended::Stopped && self.shared.link().tell_settled().is_ok() {
            self.last_sends();
        }
        // To the others an end of the doorbell is the end of the process, which may have more to do.
        mem::forget(self.bell);
        if let (Ended::Fabric(_), Some(gateway)) = (&ended, &self.shared.gateway) {
            gateway.hang_up();
        }
        // Set before the inbox closes, so that who sees it closed can read why.
        self.shared.end(ended);
    }

    fn turn(&mut self) -> Result<(), Ended> {
        let woken = self.sleep()?;
        if woken.bell {
            self.bell
                .hear(&mut self.heard)
                .map_err(|error| Ended::Fabric(format!("the doorbell: {error}")))?;
            // This rank's own rings announce no packet: they only wake.
            self.heard.forget(self.shared.rank);
        }
        if woken.gateway {
            self.obey()?;
        }
        self.carry()
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
        let limit = self.patience(&link);
        link.looking = limit.is_some();
        // The pipes stay open while they are waited for: duplicates, made only when rings are owed.
        let owed: Vec<_> = link.owed_pipes().filter_map(|pipe| pipe.try_clone_to_owned().ok()).collect();
        drop(link);

        let mut waits = vec![PollFd::new(&self.bell, PollFlags::IN)];
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
        let fresh = mem::take(&mut self.fresh) && link.runs();
        let look = if self.heard.expects() { Some(Look::Soon) } else { link.look() };
        let next = match look {
            _ if self.more => Some(Duration::ZERO),
            Some(look) => Some(self.backoff.next(look)),
            // A short task is done by then, and its end need not wake this thread.
            None if fresh => Some(first_look(self.size)),
            None => {
                self.backoff.reset();
                None
            }
        };
        let tell = link.tell_at().map(|at| at.saturating_duration_since(Instant::now()));
        next.into_iter().chain(tell).min()
    }

    /// Carries out what the kernel has ordered, on rank 0.
    fn obey(&mut self) -> Result<(), Ended> {
        let shared = Arc::clone(&self.shared);
        let Some(gateway) = &shared.gateway else { return Ok(()) };
        gateway.read(&mut self.orders)?;
        let mut single = BTreeMap::new();
        while let Some(order) = Gateway::next(&mut self.orders)? {
            self.backoff.reset();
            match order {
                ToGateway::FanOut { id: _, targets, task }
                    if !shared.carries
                        && let [target] = targets[..]
                        && target != shared.rank =>
                {
                    single.entry(target).or_insert_with(Vec::new).push(task);
                }
                ToGateway::FanOut { id, targets, task } => {
                    self.hand_out(&mut single)?;
                    self.fan_out(id, &targets, task)?;
                }
                ToGateway::Lost { ranks } => {
                    self.hand_out(&mut single)?;
                    for rank in ranks {
                        self.heard.forget(rank);
                        self.shipping.forget(rank);
                        self.holds.remove(&rank);
                        shared.link().forget(rank).map_err(broken)?;
                    }
                }
            }
        }
        self.hand_out(&mut single)
    }

    /// Tasks that came together for one rank each go together.
    fn hand_out(&mut self, single: &mut BTreeMap<Rank, Vec<ByteBuf>>) -> Result<(), Ended> {
        while let Some((target, tasks)) = single.pop_first() {
            self.shared.link().hand(target, &tasks).map_err(broken)?;
        }
        Ok(())
    }

    fn fan_out(&mut self, id: TaskId, targets: &[Rank], task: ByteBuf) -> Result<(), Ended> {
        let own = targets.contains(&self.shared.rank).then(|| frame::unpack::<Task>(&task));
        if self.shared.carries && targets != [self.shared.rank] {
            self.ship(id, targets, task)?;
        } else {
            self.shared.link().fan_out(id, targets, task).map_err(broken)?;
        }
        match own {
            Some(Ok(task)) => self.deliver(task),
            Some(Err(error)) => Err(Ended::Gateway(format!("task {id}: {error}"))),
            None => Ok(()),
        }
    }

    /// Hands a task, and before it its large buffers, to ranks that do not share memory.
    fn ship(&mut self, id: TaskId, targets: &[Rank], mut task: ByteBuf) -> Result<(), Ended> {
        let nonsense = |error: FrameError| Ended::Gateway(format!("task {id}: {error}"));
        let mut decoded: Task = frame::unpack(&task).map_err(nonsense)?;
        let cargo = Cargo::of_task(&mut decoded).map(Arc::new);
        if cargo.is_some() {
            task = ByteBuf::from(frame::pack(&decoded).map_err(nonsense)?);
        }
        let tasks = Packet::Tasks { tasks: Cow::Owned(vec![task]), settled: Cow::Borrowed(&[]) };
        let packet = frame::pack(&tasks).map_err(nonsense)?.into();
        let mut link = self.shared.link();
        link.tell_settled().map_err(broken)?;
        let living = link.open(id, targets);
        for to in living.into_iter().filter(|to| *to != self.shared.rank) {
            self.shipping.add(to, cargo.as_ref(), &packet);
        }
        self.shipping.send(&mut link).map_err(broken)
    }

    fn deliver(&mut self, task: Task) -> Result<(), Ended> {
        self.shared.link().begin(task.id, task.targets);
        self.fresh = true;
        self.inbox.send(task).map_err(|_closed| Ended::InboxClosed)
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
        let (mut frames, mut done) = (Vec::new(), Vec::new());
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
                    done.extend(ended.map(|report| (report.task, from)));
                    match frame::encode(&FromGateway::Reports { rank: from, reports }) {
                        Ok(frame) => frames.extend(frame),
                        Err(error) => dropped(from, &error.to_string()),
                    }
                }
                Err(error) => dropped(from, &error.to_string()),
            }
        }
        self.pass_on(&frames, &done)
    }

    /// Reports go to the kernel first, then the ranks learn which tasks are settled.
    fn pass_on(&mut self, frames: &[u8], done: &[(TaskId, Rank)]) -> Result<(), Ended> {
        if let (Some(gateway), false) = (&self.shared.gateway, frames.is_empty()) {
            gateway.write(frames)?;
        }
        let mut link = self.shared.link();
        for (task, rank) in done {
            link.done(*task, *rank);
        }
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
