//! Comms of engines: widgets that live there and are shown in the notebook.
//!
//! ```text
//!  engine ─ comm_open, comm_msg ─► Comms notes whose it is ─► iopub, as a part of the cell's output
//!  frontend ─ comm_msg ─► Comms finds the engine ─► a task on it ─► what its callbacks print and show
//! ```
//!
//! A frontend's message to an engine's comm does not wait for the notebook's own cells; on the engine it waits for
//! the cell that runs there.
//!
//! **Invariant**: a comm of an engine is known here from its `comm_open` until its `comm_close`, and is closed on the
//! frontend when its engine ends. What is for no engine is the local process's.

use std::collections::BTreeMap;
use std::time::Instant;

use fabric::message::local::{Channel, Message};
use fabric::message::report::Event;
use fabric::message::task::{TaskId, Work};
use fabric::message::{Json, Rank};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Session;
use super::plan::Plan;
use super::task::TaskRun;
use crate::cluster::{Engine, Notice, SetId};
use crate::request::Request;
use crate::wire::Incoming;

/// The comm by which a frontend asks for the state of all widgets at once.
const CONTROL: &str = "jupyter.widget.control";

/// The comms of engines, and the frontend's messages that engines have not dealt with.
#[derive(Default)]
pub(super) struct Comms {
    open: BTreeMap<String, Comm>,
    pub(super) handled: Vec<Handled>,
}

struct Comm {
    set: SetId,
    rank: Rank,
    target: String,
}

/// A frontend's message that an engine deals with.
pub(super) struct Handled {
    request: Request,
    task: TaskRun,
}

impl Handled {
    pub(super) fn task_mut(&mut self) -> &mut TaskRun {
        &mut self.task
    }
}

/// What of a comm's message concerns the kernel.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Content {
    comm_id: String,
    target_name: String,
}

impl Comms {
    pub(super) fn tasks(&self) -> impl Iterator<Item = &TaskRun> {
        self.handled.iter().map(|handled| &handled.task)
    }

    pub(super) fn tasks_mut(&mut self) -> impl Iterator<Item = &mut TaskRun> {
        self.handled.iter_mut().map(Handled::task_mut)
    }

    /// Adds the engines' comms to the local process's answer to `comm_info_request`.
    pub(super) fn add_to(&self, reply: &mut Message, asked: &Value) {
        let target = asked["target_name"].as_str().filter(|target| !target.is_empty());
        let wanted = |comm: &&Comm| target.is_none_or(|target| target == comm.target);
        let mut content: Value = serde_json::from_slice(&reply.content).unwrap_or_default();
        let Some(comms) = content.get_mut("comms").and_then(Value::as_object_mut) else { return };
        for (id, comm) in self.open.iter().filter(|(_, comm)| wanted(comm)) {
            comms.insert(id.clone(), json!({"target_name": comm.target}));
        }
        reply.content = content.to_string().into_bytes().into();
    }
}

impl Session {
    /// Takes note of an engine's comm that is opened or closed. A message of a task that no cell has (a call of the
    /// client API) goes out from here; everything else is given back.
    pub(super) fn note_comm(&mut self, notice: Notice) -> Option<Notice> {
        let Notice::Report { task, rank, event: Event::Publish { msg_type, content, .. } } = &notice else {
            if notice == Notice::Phase {
                self.close_comms_of_the_dead();
            }
            return Some(notice);
        };
        // Another kernel that uses these engines shows its widgets itself.
        if !msg_type.starts_with("comm_") || self.desk.clients.is_elsewhere(*task) {
            return Some(notice);
        }
        self.note_comm_of(*rank, msg_type, content);
        if self.has_task(*task) {
            return Some(notice);
        }
        if let Notice::Report { event, .. } = notice {
            self.show_comm(event);
        }
        None
    }

    fn note_comm_of(&mut self, rank: Rank, msg_type: &str, content: &Json) {
        let said: Content = serde_json::from_slice(content).unwrap_or_default();
        match msg_type {
            "comm_open" => {
                let comm = Comm { set: self.desk.cluster.set(), rank, target: said.target_name };
                self.comms.open.insert(said.comm_id, comm);
            }
            "comm_close" => drop(self.comms.open.remove(&said.comm_id)),
            _ => {}
        }
    }

    /// Takes a comm's message of a call of the client API that a hub tells of; gives back anything else.
    pub(super) fn note_relayed_comm(&mut self, rank: Rank, event: Event) -> Option<Event> {
        let Event::Publish { msg_type, content, .. } = &event else { return Some(event) };
        if !msg_type.starts_with("comm_") {
            return Some(event);
        }
        self.note_comm_of(rank, msg_type, content);
        self.show_comm(event);
        None
    }

    /// Sends a comm's message that is no cell's to the frontends.
    fn show_comm(&mut self, event: Event) {
        let Event::Publish { msg_type, content, metadata, buffers } = event else { return };
        let mut message = self.desk.composer.iopub(&msg_type, &Vec::new().into(), &Value::Null);
        (message.content, message.metadata, message.buffers) = (content, metadata, buffers);
        self.desk.send(message);
    }

    /// Whether the session itself has a task, be it over.
    pub(super) fn has_task(&self, task: TaskId) -> bool {
        let runs = self.runs.iter().filter_map(super::run::Run::task);
        let tasks = runs.chain(&self.background).chain(&self.desk.finished).chain(self.comms.tasks());
        tasks.into_iter().any(|running| running.id() == task)
    }

    /// Takes a frontend's message that is for a comm of an engine; gives back any other.
    pub(super) fn comm_request(&mut self, incoming: Incoming, now: Instant) -> Option<Incoming> {
        let msg_type = incoming.header.msg_type.as_str();
        if incoming.message.channel != Channel::Shell || !msg_type.starts_with("comm_") {
            return Some(incoming);
        }
        let said: Content = serde_json::from_slice(&incoming.message.content).unwrap_or_default();
        if msg_type == "comm_open" {
            // It reaches the widgets of one process only. Where it is refused, frontends ask each widget.
            let refused = said.target_name == CONTROL && !self.comms.open.is_empty();
            return if refused { self.refuse_comm(incoming, &said.comm_id) } else { Some(incoming) };
        }
        let rank = match self.comms.open.get(&said.comm_id) {
            Some(comm) if ["comm_msg", "comm_close"].contains(&msg_type) => comm.rank,
            _ => return Some(incoming),
        };
        if msg_type == "comm_close" {
            self.comms.open.remove(&said.comm_id);
        }
        self.hand_to_engine(incoming, rank, now);
        None
    }

    fn hand_to_engine(&mut self, incoming: Incoming, rank: Rank, now: Instant) {
        let request = Request::open(incoming, &self.desk.composer, &mut self.desk.effects);
        let Message { header, content, metadata, buffers, .. } = request.message().clone();
        let work = Work::Comm { header, content, metadata, buffers };
        let label = "a widget's callback".to_owned();
        match self.desk.cluster(|cluster, out| cluster.submit(&[rank], work, label, now, out)) {
            Ok(task) => {
                let plan = Plan::of_callback(&self.desk.sets);
                let task = TaskRun::new(task, &[rank], true, &plan, request.parent().clone(), now);
                self.comms.handled.push(Handled { request, task });
            }
            Err(reason) => {
                tracing::warn!("a widget's message could not be sent to engine {rank}: {reason}");
                request.close(&self.desk.composer, &mut self.desk.effects);
            }
        }
    }

    fn refuse_comm(&mut self, incoming: Incoming, comm_id: &str) -> Option<Incoming> {
        let request = Request::open(incoming, &self.desk.composer, &mut self.desk.effects);
        let content = json!({"comm_id": comm_id, "data": {}});
        let message = self.desk.composer.iopub("comm_close", request.parent(), &content);
        self.desk.send(message);
        request.close(&self.desk.composer, &mut self.desk.effects);
        None
    }

    /// Ends the frontend's messages that engines are done with; true when there was one.
    pub(super) fn finish_comms(&mut self) -> bool {
        let (over, open) = std::mem::take(&mut self.comms.handled)
            .into_iter()
            .partition::<Vec<_>, _>(|handled| handled.task.is_over());
        self.comms.handled = open;
        let any = !over.is_empty();
        for Handled { request, mut task } in over {
            if let Some(shown) = task.failure().and_then(|failure| failure.shown()) {
                self.publish_error(&shown, request.parent().clone());
            }
            request.close(&self.desk.composer, &mut self.desk.effects);
            self.desk.remember(task);
        }
        any
    }

    /// Whose engine is gone is closed.
    fn close_comms_of_the_dead(&mut self) {
        let cluster = &self.desk.cluster;
        let set = cluster.set();
        let alive: Vec<Rank> = cluster.engines().filter(|engine| engine.lives()).map(Engine::rank).collect();
        let (lost, open) = std::mem::take(&mut self.comms.open)
            .into_iter()
            .partition(|(_, comm)| comm.set != set || !alive.contains(&comm.rank));
        self.comms.open = open;
        let lost: BTreeMap<String, Comm> = lost;
        for comm_id in lost.into_keys() {
            let content = json!({"comm_id": comm_id, "data": {}});
            let message = self.desk.composer.iopub("comm_close", &Vec::new().into(), &content);
            self.desk.send(message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comms_of_engines_are_added_to_those_that_were_asked_for() {
        let mut comms = Comms::default();
        for (id, target) in [("a", "jupyter.widget"), ("b", "other")] {
            comms.open.insert(id.to_owned(), Comm { set: 1, rank: 2, target: target.to_owned() });
        }
        let local = r#"{"comms": {"l": {"target_name": "jupyter.widget"}}, "status": "ok"}"#;
        for (asked, local, expected) in [
            (json!({}), local, vec!["a", "b", "l"]),
            (json!({"target_name": null}), local, vec!["a", "b", "l"]),
            (json!({"target_name": "jupyter.widget"}), local, vec!["a", "l"]),
            (json!({}), r#"{"status": "error"}"#, vec![]),
        ] {
            let mut reply = Message {
                channel: Channel::Shell,
                identities: Vec::new(),
                header: Default::default(),
                parent: Default::default(),
                metadata: Default::default(),
                content: local.as_bytes().to_vec().into(),
                buffers: Vec::new(),
            };
            comms.add_to(&mut reply, &asked);
            let content: Value = serde_json::from_slice(&reply.content).unwrap();
            let listed: Vec<&str> =
                content["comms"].as_object().into_iter().flatten().map(|(id, _)| id.as_str()).collect();
            assert_eq!(listed, expected, "{asked} {local}");
        }
    }
}
