//! The kernel's orders, which come to rank 0: tasks for ranks, and who has died.
//!
//! **Invariant**: orders are carried out in the order in which they came; what one rank gets of them keeps it too.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_bytes::ByteBuf;

use super::super::Ended;
use super::super::cargo::Cargo;
use super::super::gateway::Gateway;
use super::{Pump, broken};
use crate::frame::{self, FrameError};
use crate::message::Rank;
use crate::message::payload::Payload;
use crate::message::task::{Packet, Task, TaskId, ToGateway};

impl Pump {
    /// Carries out what the kernel has ordered, on rank 0.
    pub(super) fn obey(&mut self) -> Result<(), Ended> {
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
        let is_shared = decoded.work.payload().is_some_and(Payload::is_shared);
        let cargo = Cargo::of_task(&mut decoded).map(Arc::new);
        if is_shared {
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
}
