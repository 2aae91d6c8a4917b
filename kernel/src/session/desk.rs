//! The desk at which every part of the session works: what it needs to act, and what is to be done when it has.
//!
//! **Invariant**: effects are done, and notices followed up, in the order in which they came.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use fabric::message::Json;
use fabric::message::local::{Channel, Message};
use serde_json::{Map, Value, json};

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
    /// What calls show whose output is captured, by the parents that they were given.
    pub(super) captured: HashMap<Json, Vec<Message>>,
    pub(super) effects: Vec<Effect>,
    pub(super) notices: VecDeque<Notice>,
}

impl Desk {
    pub(super) fn send(&mut self, message: Message) {
        if let Some(shown) = self.captured.get_mut(&message.parent)
            && is_shown(&message)
        {
            return shown.push(message);
        }
        self.effects.push(Effect::Send(message));
    }

    /// Keeps what a call shows. Returns the parent for all that: the request's header, with a mark.
    pub(super) fn capture(&mut self, call: u64, parent: &Json) -> Json {
        let mut header: Map<String, Value> = serde_json::from_slice(parent).unwrap_or_default();
        header.insert("captured".to_owned(), json!(call));
        let marked = Json::from(Value::Object(header).to_string().into_bytes());
        self.captured.insert(marked.clone(), Vec::new());
        marked
    }

    /// What a call has shown; what its threads print later is shown by the cell.
    pub(super) fn shown(&mut self, parent: &Json) -> Vec<Message> {
        self.captured.remove(parent).unwrap_or_default()
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

/// Whether a message is output, which can be captured, and nothing that a widget or a status is.
fn is_shown(message: &Message) -> bool {
    let header: Value = serde_json::from_slice(&message.header).unwrap_or_default();
    let output = ["stream", "display_data", "update_display_data", "execute_result", "clear_output"];
    message.channel == Channel::Iopub
        && header["msg_type"].as_str().is_some_and(|kind| output.contains(&kind))
}
