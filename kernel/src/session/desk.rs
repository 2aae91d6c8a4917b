//! The desk at which every part of the session works: what it needs to act, and what is to be done when it has.
//!
//! **Invariant**: effects are done, and notices followed up, in the order in which they came.

use std::collections::VecDeque;
use std::time::Instant;

use fabric::message::Json;
use fabric::message::local::Message;
use serde_json::json;

use super::Effect;
use super::eager::Eager;
use super::hints::Hints;
use super::sets::Sets;
use super::task::TaskRun;
use crate::clients::{Clients, Core};
use crate::cluster::{self, Cluster, Notice};
use crate::compose::Composer;

/// How many ended tasks are remembered for late output.
const REMEMBERED: usize = 16;

/// What every part of the session needs to act.
pub(crate) struct Desk {
    pub(super) composer: Composer,
    pub(super) cluster: Cluster,
    pub(super) clients: Clients,
    pub(super) eager: Eager,
    pub(super) sets: Sets,
    pub(super) hints: Hints,
    /// Somebody watches what cells show.
    pub(super) interactive: bool,
    /// Tasks whose cell does not wait for them, on their way to the background.
    pub(super) detached: Vec<TaskRun>,
    /// The last tasks that ended, because threads and children they left may still write.
    pub(super) finished: VecDeque<TaskRun>,
    pub(super) effects: Vec<Effect>,
    pub(super) notices: VecDeque<Notice>,
}

impl Desk {
    pub(super) fn send(&mut self, message: Message) {
        self.effects.push(Effect::Send(message));
    }

    /// A word of the kernel's own, beside what cells print.
    pub(super) fn note(&mut self, text: &str, parent: &Json) {
        let content = json!({"data": {"text/plain": text}, "metadata": {}});
        let message = self.composer.iopub("display_data", parent, &content);
        self.send(message);
    }

    pub(super) fn stream(&mut self, name: &str, text: &str, parent: &Json) {
        let message = self.composer.stream(name, text, parent);
        self.send(message);
    }

    /// A task has ended; its late output will find it.
    pub(super) fn remember(&mut self, task: TaskRun) {
        self.finished.push_back(task);
        if self.finished.len() > REMEMBERED {
            self.finished.pop_front();
        }
    }

    /// Has the clients' part do something and takes in what comes of it.
    pub(super) fn clients<T>(
        &mut self,
        now: Instant,
        act: impl FnOnce(&mut Clients, &mut Core<'_>) -> T,
    ) -> T {
        let mut output = cluster::Output::default();
        let mut core = Core { cluster: &mut self.cluster, out: &mut output, now };
        let result = act(&mut self.clients, &mut core);
        self.effects.extend(output.effects.into_iter().map(Effect::Engines));
        self.effects.extend(output.hub.into_iter().map(Effect::Hub));
        self.effects.extend(self.clients.effects().into_iter().map(Effect::Clients));
        self.notices.extend(output.notices);
        result
    }

    /// Has the cluster do something and takes in what comes of it.
    pub(super) fn cluster<T>(&mut self, act: impl FnOnce(&mut Cluster, &mut cluster::Output) -> T) -> T {
        let mut output = cluster::Output::default();
        let result = act(&mut self.cluster, &mut output);
        self.effects.extend(output.effects.into_iter().map(Effect::Engines));
        self.effects.extend(output.hub.into_iter().map(Effect::Hub));
        self.notices.extend(output.notices);
        result
    }
}
