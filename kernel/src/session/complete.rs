//! Completion and help for code of engines: the first target is asked, the notebook's own Python too, and what both
//! say is put together.
//!
//! ```text
//!  complete_request ─► whose is the text? ─► the engine, if it is idle ─► the local process ─► one reply
//!                      magics::place          200 ms at most              the code alone
//! ```
//!
//! **Invariant**: the reply's positions are those of the cell, in characters; an engine that is busy, slow or dead
//! costs nobody more than [`PATIENCE`].

use std::collections::HashMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use fabric::message::lifeline::Question;
use fabric::message::local::{Channel, Message};
use fabric::message::{Json, Rank};
use magics::{Place, Targets};
use serde_json::{Map, Value, json};

use super::Session;
use crate::cluster::{Engine, Phase};
use crate::request::Request;
use crate::wire::Incoming;

/// How long an engine may take.
const PATIENCE: Duration = Duration::from_millis(200);

/// The key under which ipykernel gives the types of matches.
const TYPES: &str = "_jupyter_types_experimental";

/// How many requests may wait for the local process's answer to them.
const MOST_HEARD: usize = 64;

/// Requests about code of engines.
#[derive(Default)]
pub(super) struct Enquiries {
    /// Those that an engine has been asked about.
    asked: Vec<Enquiry>,
    /// What engines said, until the local process has answered too, by the request's `msg_id`.
    heard: HashMap<String, Heard>,
}

/// One request.
struct Enquiry {
    incoming: Incoming,
    question: u64,
    until: Instant,
    part: Part,
}

/// The part of a cell that a request is about.
struct Part {
    code: String,
    /// Characters of the cell before it.
    before: usize,
    /// Where the cursor is in it, in characters.
    cursor: usize,
}

struct Heard {
    before: usize,
    said: Option<Value>,
}

impl Enquiries {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.asked.iter().map(|enquiry| enquiry.until).min()
    }
}

impl Session {
    /// Takes a request for completion or help that is about code of engines or options of magics, and gives back any
    /// other.
    pub(super) fn enquire(&mut self, incoming: Incoming, now: Instant) -> Option<Incoming> {
        let completes = match (incoming.message.channel, incoming.header.msg_type.as_str()) {
            (Channel::Shell, "complete_request") => true,
            (Channel::Shell, "inspect_request") => false,
            _ => return Some(incoming),
        };
        let content: Value = serde_json::from_slice(&incoming.message.content).unwrap_or_default();
        let code = content["code"].as_str().unwrap_or_default();
        let end = code.chars().count();
        let at =
            content["cursor_pos"].as_u64().and_then(|at| usize::try_from(at).ok()).unwrap_or(end).min(end);
        let ids: Vec<Rank> = self.desk.cluster.engines().map(Engine::rank).collect();
        match magics::place(code, byte_of(code, at), self.desk.sets.mode(), &ids) {
            Place::Options { typed, words } if completes => {
                let request = Request::open(incoming, &self.desk.composer, &mut self.desk.effects);
                let content = options_reply(code, &typed, &words);
                request.finish(&content, &self.desk.composer, &mut self.desk.effects);
            }
            Place::Local | Place::Options { .. } => return Some(incoming),
            Place::Engines { set, targets, code: range } => {
                let before = code[..range.start].chars().count();
                let cursor = at.saturating_sub(before);
                let part = Part { code: code[range].to_owned(), before, cursor };
                let (code, cursor) = (part.code.clone(), cursor as u64);
                let about = if completes {
                    Question::Complete { code, cursor }
                } else {
                    Question::Inspect { code, cursor, detail: content["detail_level"].as_u64().unwrap_or(0) }
                };
                let targets = targets.or_else(|| self.desk.sets.defaults(&set).targets);
                match self.ask_engine(targets.unwrap_or(Targets::All), &ids, about) {
                    Some(question) => {
                        let until = now + PATIENCE;
                        self.enquiries.asked.push(Enquiry { incoming, question, until, part });
                    }
                    None => self.ask_local(incoming, part, None),
                }
            }
        }
        None
    }

    /// Asks the first target, if it is there: the question's number.
    fn ask_engine(&mut self, targets: Targets, ids: &[Rank], about: Question) -> Option<u64> {
        if !matches!(self.desk.cluster.phase(), Phase::Up) {
            return None;
        }
        let rank = *targets.resolve(ids).ok()?.ids.first()?;
        self.desk.cluster(|cluster, out| cluster.ask(rank, about, out))
    }

    /// An engine has answered, or has nothing to say.
    pub(super) fn engine_answered(&mut self, question: u64, said: Option<&Json>) {
        let Some(at) = self.enquiries.asked.iter().position(|enquiry| enquiry.question == question) else {
            return;
        };
        let Enquiry { incoming, part, .. } = self.enquiries.asked.remove(at);
        let said = said.and_then(|said| serde_json::from_slice(said).ok());
        self.ask_local(incoming, part, said);
    }

    /// Engines that have not answered in time are not waited for.
    pub(super) fn give_up_enquiries(&mut self, now: Instant) {
        let late = self.enquiries.asked.iter().filter(|enquiry| enquiry.until <= now);
        for question in late.map(|enquiry| enquiry.question).collect::<Vec<_>>() {
            self.engine_answered(question, None);
        }
    }

    /// Has the local process answer for the part of the cell, in its turn.
    fn ask_local(&mut self, mut incoming: Incoming, part: Part, said: Option<Value>) {
        let mut content: Value = serde_json::from_slice(&incoming.message.content).unwrap_or_default();
        content["code"] = json!(part.code);
        content["cursor_pos"] = json!(part.cursor);
        incoming.message.content = content.to_string().into_bytes().into();
        if self.enquiries.heard.len() >= MOST_HEARD {
            self.enquiries.heard.clear();
        }
        self.enquiries.heard.insert(incoming.header.msg_id.clone(), Heard { before: part.before, said });
        self.shell_request(incoming);
    }

    /// Puts what an engine said into the local process's reply to the same request.
    pub(super) fn complete_reply(&mut self, parent: &str, reply: &mut Message) {
        let Some(heard) = self.enquiries.heard.remove(parent) else { return };
        let local: Value = serde_json::from_slice(&reply.content).unwrap_or_default();
        let content = match heard.said {
            Some(said) if said.get("found").is_some() => better(said, local),
            Some(said) => joined(said, local),
            None => local,
        };
        reply.content = moved(content, heard.before).to_string().into_bytes().into();
    }
}

/// Of two `inspect_reply`s the one that knows the name, the engine's first.
fn better(engine: Value, local: Value) -> Value {
    if engine["found"] == json!(true) { engine } else { local }
}

/// Two `complete_reply`s as one, the engine's matches first. Where they are about different text, the engine's counts.
fn joined(engine: Value, local: Value) -> Value {
    let matches = |reply: &Value| reply["matches"].as_array().cloned().unwrap_or_default();
    let (of_engine, of_local) = (matches(&engine), matches(&local));
    if of_engine.is_empty() {
        return local;
    }
    let same = ["cursor_start", "cursor_end"].iter().all(|key| engine[key] == local[key]);
    if of_local.is_empty() || !same {
        return engine;
    }
    let new: Vec<Value> = of_local.into_iter().filter(|text| !of_engine.contains(text)).collect();
    let types = |reply: &Value| reply["metadata"][TYPES].as_array().cloned().unwrap_or_default();
    let new_types = types(&local).into_iter().filter(|one| new.contains(&one["text"]));
    let types: Vec<Value> = types(&engine).into_iter().chain(new_types).collect();
    let mut reply = local;
    reply["matches"] = of_engine.into_iter().chain(new).collect();
    if !reply["metadata"].is_object() {
        reply["metadata"] = Value::Object(Map::new());
    }
    reply["metadata"][TYPES] = Value::Array(types);
    reply
}

/// A reply about a part of a cell, as one about the cell: the part begins after `before` characters.
fn moved(mut reply: Value, before: usize) -> Value {
    let shift = |value: &mut Value| {
        if let Some(at) = value.as_u64() {
            *value = json!(at + before as u64);
        }
    };
    for key in ["cursor_start", "cursor_end"] {
        reply.get_mut(key).into_iter().for_each(shift);
    }
    let types = reply.pointer_mut(&format!("/metadata/{TYPES}")).and_then(Value::as_array_mut);
    for one in types.into_iter().flatten() {
        for key in ["start", "end"] {
            one.get_mut(key).into_iter().for_each(shift);
        }
    }
    reply
}

fn options_reply(code: &str, typed: &Range<usize>, words: &[String]) -> Value {
    let start = code[..typed.start].chars().count();
    let end = start + code[typed.clone()].chars().count();
    let one =
        |word: &String| json!({"start": start, "end": end, "text": word, "type": "option", "signature": ""});
    let types: Vec<Value> = words.iter().map(one).collect();
    json!({
        "status": "ok",
        "matches": words,
        "cursor_start": start,
        "cursor_end": end,
        "metadata": {TYPES: types},
    })
}

/// The byte at which the character numbered `at` begins.
fn byte_of(code: &str, at: usize) -> usize {
    code.char_indices().nth(at).map_or(code.len(), |(byte, _)| byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(start: u64, words: &[&str]) -> Value {
        let types =
            words.iter().map(|word| json!({"start": start, "end": start + 1, "text": word, "type": "t"}));
        json!({
            "status": "ok", "matches": words, "cursor_start": start, "cursor_end": start + 1,
            "metadata": {TYPES: types.collect::<Vec<_>>()},
        })
    }

    #[test]
    fn matches_of_both_are_one_list_without_repeats() {
        for (engine, local, expected) in [
            (reply(3, &["a", "b"]), reply(3, &["b", "c"]), reply(3, &["a", "b", "c"])),
            (reply(3, &[]), reply(2, &["b"]), reply(2, &["b"])),
            (reply(3, &["a"]), reply(2, &["b"]), reply(3, &["a"])),
            (reply(3, &["a"]), reply(3, &[]), reply(3, &["a"])),
            (reply(3, &["a"]), json!({"status": "error"}), reply(3, &["a"])),
        ] {
            assert_eq!(joined(engine, local), expected);
        }
    }

    #[test]
    fn positions_become_those_of_the_cell() {
        assert_eq!(moved(reply(3, &["a", "b"]), 5), reply(8, &["a", "b"]));
        assert_eq!(moved(json!({"found": false}), 5), json!({"found": false}));
        assert_eq!(byte_of("é.x", 1), 2);
        assert_eq!(byte_of("é", 9), 2);
        let typed = options_reply("é --t", &(3..6), &["--targets".to_owned()]);
        assert_eq!((&typed["cursor_start"], &typed["cursor_end"]), (&json!(2), &json!(5)));
    }

    #[test]
    fn the_engine_knows_better_what_it_has() {
        let (found, not) = (json!({"found": true}), json!({"found": false, "local": 1}));
        assert_eq!(better(found.clone(), not.clone()), found);
        assert_eq!(better(json!({"found": false}), not.clone()), not);
    }
}
