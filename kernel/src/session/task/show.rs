//! What a task's engines said, as messages for the notebook: labelled with their engine, each engine's displays under
//! names of its own.

use fabric::message::{Json, Rank};
use serde::Deserialize;
use serde_json::{Value, json};

use super::TaskRun;
use crate::cluster::listed;
use crate::merge::{Piece, is_ours};
use crate::session::Desk;

impl TaskRun {
    pub(super) fn show(&mut self, pieces: Vec<Piece>, desk: &mut Desk) {
        if let Some(progress) = self.progress.as_mut().filter(|_| !pieces.is_empty()) {
            progress.something_was_shown();
        }
        for piece in pieces {
            match piece {
                Piece::Stream { name, text } => desk.stream(name.as_str(), &text, &self.parent),
                Piece::Placed { rank, id, update, text } => {
                    let kind = if update { "update_display_data" } else { "display_data" };
                    self.show_place(kind, rank, &id, &json!({"text/plain": text}), desk);
                }
                Piece::Emptied { rank, id, labelled } => {
                    if labelled {
                        self.show_place("update_display_data", rank, &label_of(&id), &json!({}), desk);
                    }
                    self.show_place("update_display_data", rank, &id, &json!({}), desk);
                }
                Piece::Label { rank, id } => {
                    let data = json!({"text/plain": format!("[output:{rank}]")});
                    self.show_place("update_display_data", rank, &label_of(&id), &data, desk);
                }
                Piece::Result { ranks, count, content } => self.show_result(&ranks, count, &content, desk),
                Piece::Publish { ranks, msg_type, content, metadata, buffers } => {
                    if msg_type == "display_data" {
                        self.show_label(&ranks, display_id(&content).as_deref(), desk);
                    }
                    let mut message = desk.composer.iopub(&msg_type, &self.parent, &Value::Null);
                    let content = self.with_parent(&msg_type, content);
                    message.content = of_engine(content, &ranks, desk.composer.session());
                    message.metadata = with_engine(&metadata, &ranks);
                    message.buffers = buffers;
                    desk.send(message);
                }
            }
        }
    }

    /// An output widget on an engine says what it captures, in words that stand for this task's request.
    fn with_parent(&self, msg_type: &str, content: Json) -> Json {
        const PLACEHOLDER: &str = "\"parallel-python-parent\"";
        if msg_type != "comm_msg" {
            return content;
        }
        let Some(text) = std::str::from_utf8(&content).ok().filter(|text| text.contains(PLACEHOLDER)) else {
            return content;
        };
        let parent: Value = serde_json::from_slice(&self.parent).unwrap_or_default();
        Json::from(text.replace(PLACEHOLDER, &parent["msg_id"].to_string()).into_bytes())
    }

    /// `Out[2:7]: …` for engine 2's seventh cell. A rich result's label stands before it, because a
    /// notebook shows the richest form only.
    fn show_result(&self, ranks: &[Rank], count: Option<u32>, content: &Json, desk: &mut Desk) {
        let mut content: Value = serde_json::from_slice(content).unwrap_or_default();
        let rich = content["data"].as_object().is_some_and(|data| data.len() > 1);
        if rich {
            self.show_label(ranks, None, desk);
        }
        if let Some(text) = content["data"]["text/plain"].as_str() {
            let gap = if text.contains('\n') && !text.starts_with('\n') { "\n" } else { "" };
            let count = count.map_or_else(String::new, |count| format!(":{count}"));
            content["data"]["text/plain"] =
                json!(format!("\x1b[0;31mOut[{}{count}]: \x1b[0m{gap}{text}", listed(ranks)));
        }
        self.display(ranks, &content, desk);
    }

    /// The line before what is richer than text. Where the display has a name, its label has one too.
    fn show_label(&self, ranks: &[Rank], of: Option<&str>, desk: &mut Desk) {
        let data = json!({"text/plain": format!("[output:{}]", listed(ranks))});
        match (of, ranks) {
            (Some(id), [rank]) => self.show_place("display_data", *rank, &label_of(id), &data, desk),
            _ => self.display(ranks, &json!({"data": data, "metadata": {}}), desk),
        }
    }

    /// A display that can be changed, or its new state.
    fn show_place(&self, kind: &str, rank: Rank, id: &str, data: &Value, desk: &mut Desk) {
        let id = id_of_engine(id, rank, desk.composer.session());
        let content = json!({"data": data, "metadata": {}, "transient": {"display_id": id}});
        let mut message = desk.composer.iopub(kind, &self.parent, &content);
        message.metadata = with_engine(&message.metadata, &[rank]);
        desk.send(message);
    }

    fn display(&self, ranks: &[Rank], content: &Value, desk: &mut Desk) {
        let mut message = desk.composer.iopub("display_data", &self.parent, content);
        message.metadata = with_engine(&message.metadata, ranks);
        desk.send(message);
    }
}

/// Every engine has its own displays, whatever names its code has given them.
fn of_engine(content: Json, ranks: &[Rank], session: &str) -> Json {
    let ([rank], Some(id)) = (ranks, display_id(&content)) else { return content };
    if is_ours(&id) {
        return content;
    }
    let Ok(mut parsed) = serde_json::from_slice::<Value>(&content) else { return content };
    parsed["transient"]["display_id"] = json!(id_of_engine(&id, *rank, session));
    Json::from(parsed.to_string().into_bytes())
}

/// A display's name on an engine, as a name in the whole notebook.
fn id_of_engine(id: &str, rank: Rank, session: &str) -> String {
    if is_ours(id) { id.to_owned() } else { format!("{session}-{rank}-{id}") }
}

fn label_of(id: &str) -> String {
    format!("{id}-label")
}

fn display_id(content: &Json) -> Option<String> {
    #[derive(Deserialize)]
    struct Content {
        transient: Transient,
    }
    #[derive(Deserialize)]
    struct Transient {
        display_id: String,
    }
    serde_json::from_slice::<Content>(content).ok().map(|content| content.transient.display_id)
}

/// A message's metadata, which says where it came from.
fn with_engine(metadata: &Json, ranks: &[Rank]) -> Json {
    let mut metadata: Value = serde_json::from_slice(metadata).unwrap_or_default();
    if !metadata.is_object() {
        metadata = json!({});
    }
    match ranks {
        [rank] => metadata["engine"] = json!(rank),
        _ => metadata["engines"] = json!(ranks),
    }
    Json::from(metadata.to_string().into_bytes())
}
