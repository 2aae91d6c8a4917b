//! One fan-out as a cell sees it: reports go in, merged output goes out, and how it ended is kept.

use std::collections::BTreeMap;
use std::time::Instant;

use fabric::message::report::{Event, Outcome, Raised};
use fabric::message::task::TaskId;
use fabric::message::{Json, Rank};
use serde_json::{Value, json};

use super::Desk;
use super::failure::{Failure, Lost};
use crate::merge::{Merge, Piece};

/// A task that engines run for a cell.
pub(crate) struct TaskRun {
    task: TaskId,
    parent: Json,
    single: bool,
    merge: Merge,
    raised: BTreeMap<Rank, Raised>,
    lost: Vec<Lost>,
    interrupted: bool,
    over: bool,
    pub(super) payloads: Vec<Value>,
}

impl TaskRun {
    pub(super) fn new(task: TaskId, targets: &[Rank], single: bool, parent: Json, now: Instant) -> Self {
        Self {
            task,
            parent,
            single,
            merge: Merge::new(targets, now),
            raised: BTreeMap::new(),
            lost: Vec::new(),
            interrupted: false,
            over: false,
            payloads: Vec::new(),
        }
    }

    pub(super) fn id(&self) -> TaskId {
        self.task
    }

    /// Every engine is done with it or lost, and everything it said has been shown.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.merge.deadline()
    }

    pub(super) fn tick(&mut self, desk: &mut Desk, now: Instant) {
        let pieces = self.merge.tick(now);
        self.show(pieces, desk);
    }

    pub(super) fn report(&mut self, rank: Rank, event: Event, desk: &mut Desk, now: Instant) {
        let pieces = self.merge.on(rank, &event, now);
        match event {
            Event::Done { outcome: Outcome::Error(raised), .. } => drop(self.raised.insert(rank, raised)),
            Event::Done { outcome: Outcome::Aborted, .. } => {
                let evalue = "it was taken back before it began".to_owned();
                let traceback = vec![format!("\x1b[0;31mTaskAborted\x1b[0m: {evalue}")];
                self.raised.insert(rank, Raised { ename: "TaskAborted".to_owned(), evalue, traceback });
            }
            Event::Payload { content } => self.payloads.extend(serde_json::from_slice::<Value>(&content)),
            _ => {}
        }
        self.show(pieces, desk);
    }

    pub(super) fn lost(&mut self, rank: Rank, why: String, lives: bool, desk: &mut Desk, now: Instant) {
        let pieces = self.merge.lost(rank, now);
        self.lost.push(Lost { rank, why, lives });
        self.show(pieces, desk);
    }

    pub(super) fn over(&mut self, desk: &mut Desk, now: Instant) {
        self.over = true;
        self.tick(desk, now);
    }

    pub(super) fn interrupt(&mut self, desk: &mut Desk, now: Instant) {
        self.interrupted = true;
        desk.cluster(|cluster, out| cluster.interrupt(self.task, now, out));
    }

    pub(super) fn failure(&mut self) -> Option<Failure> {
        let raised = std::mem::take(&mut self.raised);
        Failure::of_task(raised, std::mem::take(&mut self.lost), self.interrupted, self.single)
    }

    /// A task whose cell did not wait: its error is shown when it ends. True when it has.
    pub(super) fn finish_in_background(&mut self, desk: &mut Desk) -> bool {
        if self.over
            && let Some(shown) = self.failure().and_then(|failure| failure.shown())
        {
            let message = desk.composer.iopub("error", &self.parent, &shown);
            desk.send(message);
        }
        self.over
    }

    fn show(&self, pieces: Vec<Piece>, desk: &mut Desk) {
        for piece in pieces {
            match piece {
                Piece::Stream { name, text } => desk.stream(name.as_str(), &text, &self.parent),
                Piece::Result { rank, count, content } => self.show_result(rank, count, &content, desk),
                Piece::Publish { rank, msg_type, content, metadata, buffers } => {
                    if msg_type == "display_data" {
                        self.show_label(rank, desk);
                    }
                    let mut message = desk.composer.iopub(&msg_type, &self.parent, &Value::Null);
                    message.content = content;
                    message.metadata = with_engine(&metadata, rank);
                    message.buffers = buffers;
                    desk.send(message);
                }
            }
        }
    }

    /// `Out[2:7]: …` for engine 2's seventh cell. A rich result's label stands before it, because a
    /// notebook shows the richest form only.
    fn show_result(&self, rank: Rank, count: u32, content: &Json, desk: &mut Desk) {
        let mut content: Value = serde_json::from_slice(content).unwrap_or_default();
        let rich = content["data"].as_object().is_some_and(|data| data.len() > 1);
        if rich {
            self.show_label(rank, desk);
        }
        if let Some(text) = content["data"]["text/plain"].as_str() {
            let gap = if text.contains('\n') && !text.starts_with('\n') { "\n" } else { "" };
            content["data"]["text/plain"] =
                json!(format!("\x1b[0;31mOut[{rank}:{count}]: \x1b[0m{gap}{text}"));
        }
        self.display(rank, &content, desk);
    }

    fn show_label(&self, rank: Rank, desk: &mut Desk) {
        let label = json!({"data": {"text/plain": format!("[output:{rank}]")}, "metadata": {}});
        self.display(rank, &label, desk);
    }

    fn display(&self, rank: Rank, content: &Value, desk: &mut Desk) {
        let mut message = desk.composer.iopub("display_data", &self.parent, content);
        message.metadata = with_engine(&message.metadata, rank);
        desk.send(message);
    }
}

/// A message's metadata, which says where it came from.
fn with_engine(metadata: &Json, rank: Rank) -> Json {
    let mut metadata: Value = serde_json::from_slice(metadata).unwrap_or_default();
    if !metadata.is_object() {
        metadata = json!({});
    }
    metadata["engine"] = json!(rank);
    Json::from(metadata.to_string().into_bytes())
}
