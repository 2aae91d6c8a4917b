//! What is remembered of tasks: of those that run, of those that ended, of `%px` cells too.
//!
//! **Invariant**: a task that has not ended is remembered. Of those that ended, [`MOST`] records and [`MOST_BYTES`]
//! of values are kept, the latest; a value in shared memory that somebody was told of and may not have opened
//! yet is kept beyond that, until it is forgotten or everybody who was told has gone. How tasks ended is kept
//! longer than their records, for tasks that depend on them.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use fabric::message::Rank;
use fabric::message::client::Told;
use fabric::message::report::{Event, Outcome, StreamName};
use fabric::message::task::Work;
use serde_json::{Value, json};

use super::{ClientId, files_of_event};

/// How many ended tasks are remembered with all that is known of them.
const MOST: usize = 1024;

/// How many bytes of values are kept of ended tasks.
const MOST_BYTES: u64 = 1 << 30;

/// How many bytes of one task's output are kept.
const MOST_OUTPUT: usize = 1 << 20;

/// Of how many tasks it is known how they ended.
const MOST_ENDINGS: usize = 1 << 16;

/// One task.
#[derive(Debug)]
pub(super) struct Record {
    number: u64,
    pub(super) label: String,
    code: Option<String>,
    /// Who submitted it; `None`: a parallel cell.
    client: Option<ClientId>,
    /// Where; `None`: wherever there is room.
    targets: Option<Vec<Rank>>,
    /// In seconds since the epoch.
    submitted: Option<f64>,
    /// Who is told of it.
    pub(super) watchers: BTreeSet<ClientId>,
    log: Vec<Told>,
    parts: BTreeMap<Rank, Part>,
    output: usize,
    dropped: usize,
    bytes: u64,
    /// Memory files of its values, by their descriptors in this process.
    files: Vec<u32>,
    pub(super) over: bool,
    forgotten: bool,
}

/// What is known of a task on one engine.
#[derive(Debug, Clone, Default)]
struct Part {
    /// How it ended there.
    ending: Option<&'static str>,
    times: Option<(f64, f64)>,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) success: bool,
    /// Where it ran.
    pub(super) ranks: BTreeSet<Rank>,
}

/// What a task is when it begins.
pub(super) struct New<'a> {
    pub(super) name: &'a str,
    pub(super) label: &'a str,
    pub(super) work: &'a Work,
    pub(super) client: Option<ClientId>,
    pub(super) targets: Option<Vec<Rank>>,
    pub(super) submitted: Option<f64>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Store {
    records: HashMap<String, Record>,
    last: u64,
    /// Names of ended tasks, in the order in which they ended.
    ended: VecDeque<String>,
    bytes: u64,
    endings: HashMap<String, Ending>,
    endings_order: VecDeque<String>,
}

impl Store {
    /// Whether this name has been used.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.records.contains_key(name) || self.endings.contains_key(name)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Record> {
        self.records.get(name)
    }

    pub(super) fn watch(&mut self, name: &str, client: ClientId) {
        if let Some(record) = self.records.get_mut(name) {
            record.watchers.insert(client);
        }
    }

    /// How a task ended; `None` while it has not, or when nothing is known of it.
    pub(super) fn ending(&self, name: &str) -> Option<&Ending> {
        self.endings.get(name)
    }

    /// A task begins.
    pub(super) fn open(&mut self, new: New<'_>) {
        self.last += 1;
        let code = match new.work {
            Work::Execute { code, .. } => Some(code.clone()),
            Work::Apply { .. } | Work::Comm { .. } | Work::Look { .. } => None,
        };
        let record = Record {
            number: self.last,
            label: new.label.to_owned(),
            code,
            client: new.client,
            targets: new.targets,
            submitted: new.submitted,
            watchers: new.client.into_iter().collect(),
            log: Vec::new(),
            parts: BTreeMap::new(),
            output: 0,
            dropped: 0,
            bytes: 0,
            files: Vec::new(),
            over: false,
            forgotten: false,
        };
        self.records.insert(new.name.to_owned(), record);
    }

    /// Something happened to a task. Returns the memory files that nobody needs any more.
    #[must_use]
    pub(super) fn note(&mut self, name: &str, told: &Told) -> Vec<u32> {
        let Some(record) = self.records.get_mut(name) else { return files_of(told) };
        match told {
            Told::Report { rank, event, .. } => record.happened(*rank, event),
            Told::Lost { rank, .. } => record.parts.entry(*rank).or_default().ending = Some("lost"),
            _ => {}
        }
        let before = record.bytes;
        record.keep(told);
        self.bytes += record.bytes - before;
        if !matches!(told, Told::Over { .. } | Told::Refused { .. }) {
            return Vec::new();
        }
        record.over = true;
        let success = matches!(told, Told::Over { .. })
            && record.parts.values().all(|part| matches!(part.ending, Some("ok")));
        let ending = Ending { success, ranks: record.parts.keys().copied().collect() };
        self.endings.insert(name.to_owned(), ending);
        self.endings_order.push_back(name.to_owned());
        self.ended.push_back(name.to_owned());
        let mut files = Vec::new();
        if record.forgotten {
            files.append(&mut record.files);
            self.bytes -= record.forget_shared();
        }
        files.extend(self.trim());
        files
    }

    /// Everything that was told of a task so far.
    pub(super) fn replay(&self, name: &str) -> Vec<Told> {
        let Some(record) = self.records.get(name) else { return Vec::new() };
        let mut log = record.log.clone();
        if record.dropped > 0 {
            let text = format!("[{} bytes of output were not kept]\n", record.dropped);
            let rank = record.parts.keys().next().copied().unwrap_or_default();
            let event = Event::Stream { name: StreamName::Stderr, text };
            let before = log.iter().position(is_ending).unwrap_or(log.len());
            log.insert(before, Told::Report { name: name.to_owned(), rank, event });
        }
        log
    }

    /// Nobody holds the values of these tasks. Returns the memory files to close.
    #[must_use]
    pub(super) fn forget(&mut self, names: &[String], purge: bool) -> Vec<u32> {
        let mut files = Vec::new();
        for name in names {
            let Some(record) = self.records.get_mut(name) else { continue };
            record.forgotten = true;
            if record.over {
                files.append(&mut record.files);
                self.bytes -= record.forget_shared();
                if purge {
                    self.bytes -= record.bytes;
                    self.records.remove(name);
                    self.ended.retain(|ended| ended != name);
                }
            }
        }
        files
    }

    /// A client has gone. Returns the memory files to close.
    #[must_use]
    pub(super) fn leave(&mut self, client: ClientId) -> Vec<u32> {
        for record in self.records.values_mut() {
            record.watchers.remove(&client);
        }
        self.trim()
    }

    /// Records as JSON, in the order of submission: of these names, or all. `runs` tells whether a task is
    /// the one that an engine runs.
    pub(super) fn json(&self, names: Option<&[String]>, runs: impl Fn(&str, Rank) -> bool) -> Value {
        let mut found: Vec<(&String, &Record)> = match names {
            Some(names) => names.iter().filter_map(|name| self.records.get_key_value(name)).collect(),
            None => self.records.iter().collect(),
        };
        found.sort_unstable_by_key(|(_, record)| record.number);
        found.into_iter().map(|(name, record)| record.json(name, &runs)).collect()
    }

    /// The remembered tasks that an engine has ended, in the order in which they ended everywhere.
    pub(super) fn ended_on(&self, rank: Rank) -> Vec<&str> {
        let ran = |name: &&String| self.records.get(*name).is_some_and(|one| one.parts.contains_key(&rank));
        self.ended.iter().filter(ran).map(String::as_str).collect()
    }

    /// Forgets what is too much: the files to close.
    fn trim(&mut self) -> Vec<u32> {
        while self.endings_order.len() > MOST_ENDINGS {
            if let Some(name) = self.endings_order.pop_front() {
                self.endings.remove(&name);
            }
        }
        let mut files = Vec::new();
        while self.ended.len() > MOST || self.bytes > MOST_BYTES {
            let free = |name: &String| self.records.get(name).is_none_or(|record| !record.is_held());
            let Some(place) = self.ended.iter().position(free) else { break };
            if let Some(mut record) = self.ended.remove(place).and_then(|name| self.records.remove(&name)) {
                self.bytes -= record.bytes;
                files.append(&mut record.files);
            }
        }
        files
    }
}

impl Record {
    /// The first engine that it was for.
    pub(super) fn first_target(&self) -> Option<Rank> {
        self.targets.as_ref()?.first().copied()
    }

    fn happened(&mut self, rank: Rank, event: &Event) {
        let part = self.parts.entry(rank).or_default();
        if let Event::Done { outcome, started, completed, .. } = event {
            part.ending = Some(match outcome {
                Outcome::Ok => "ok",
                Outcome::Error(_) => "error",
                Outcome::Aborted => "aborted",
            });
            part.times = (*started > 0.0).then_some((*started, *completed));
        }
    }

    fn keep(&mut self, told: &Told) {
        if let Told::Report { event, .. } = told {
            let size = output(event);
            if self.output + size > MOST_OUTPUT {
                self.dropped += size;
                return;
            }
            self.output += size;
            if let Event::Value { payload } | Event::Data { payload } = event {
                self.bytes += payload.size();
                self.files.extend(files_of_event(event));
            }
        }
        self.log.push(told.clone());
    }

    /// Drops the values that are in shared memory: how many bytes they were.
    fn forget_shared(&mut self) -> u64 {
        let mut dropped = 0;
        self.log.retain(|told| match told {
            Told::Report { event: Event::Value { payload } | Event::Data { payload }, .. }
                if payload.shared().next().is_some() =>
            {
                dropped += payload.size();
                false
            }
            _ => true,
        });
        self.bytes -= dropped;
        dropped
    }

    /// Somebody who is there was told of a memory file and has not said to be done with it.
    fn is_held(&self) -> bool {
        !self.files.is_empty() && !self.forgotten && !self.watchers.is_empty()
    }

    fn json(&self, name: &str, runs: &impl Fn(&str, Rank) -> bool) -> Value {
        let mut parts = self.parts.clone();
        for rank in self.targets.iter().flatten() {
            parts.entry(*rank).or_default();
        }
        let part = |(rank, part): (&Rank, &Part)| {
            let waits = || if runs(name, *rank) { "running" } else { "queued" };
            let times = part.times.unzip();
            let one = json!({
                "status": part.ending.unwrap_or_else(waits),
                "started": times.0,
                "completed": times.1,
            });
            (rank.to_string(), one)
        };
        json!({
            "name": name,
            "label": self.label,
            "method": if self.code.is_some() { "execute" } else { "apply" },
            "targets": self.targets,
            "submitted": self.submitted,
            "code": self.code,
            "client": self.client,
            "over": self.over,
            "parts": parts.iter().map(part).collect::<serde_json::Map<_, _>>(),
        })
    }
}

/// How much of a task's output an event is. What a task is for is no output.
fn output(event: &Event) -> usize {
    match event {
        Event::Stream { text, .. } => text.len(),
        Event::Publish { content, buffers, .. } => {
            content.len() + buffers.iter().map(|buffer| buffer.len()).sum::<usize>()
        }
        Event::Result { content, .. } | Event::Payload { content } => content.len(),
        Event::Value { .. }
        | Event::Data { .. }
        | Event::Done { .. }
        | Event::Usage { .. }
        | Event::Ask { .. } => 0,
    }
}

fn is_ending(told: &Told) -> bool {
    matches!(told, Told::Report { event: Event::Done { .. }, .. } | Told::Over { .. })
}

fn files_of(told: &Told) -> Vec<u32> {
    match told {
        Told::Report { event, .. } => files_of_event(event),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use fabric::message::payload::{Blob, Payload, Shared};

    use super::*;

    fn open(store: &mut Store, name: &str, client: Option<ClientId>) {
        let work = Work::Execute { code: "x".to_owned(), store_history: false, measure: false };
        let new = New { name, label: "x", work: &work, client, targets: Some(vec![0]), submitted: Some(1.0) };
        store.open(new);
    }

    fn report(name: &str, event: Event) -> Told {
        Told::Report { name: name.to_owned(), rank: 0, event }
    }

    fn done(outcome: Outcome) -> Event {
        Event::Done { outcome, count: 1, started: 1.0, completed: 2.0 }
    }

    fn value(descriptor: u32, length: u64) -> Event {
        let shared = Shared { holder: 1, descriptor, offset: 0, length };
        Event::Value { payload: Payload { buffers: vec![Blob::Shared(shared)], ..Payload::default() } }
    }

    fn end(store: &mut Store, name: &str) -> Vec<u32> {
        drop(store.note(name, &report(name, done(Outcome::Ok))));
        store.note(name, &Told::Over { name: name.to_owned() })
    }

    #[test]
    fn the_latest_are_remembered_and_endings_longer() {
        let mut store = Store::default();
        for number in 0..MOST + 10 {
            let name = format!("t{number}");
            open(&mut store, &name, Some(1));
            assert!(end(&mut store, &name).is_empty());
        }
        assert!(store.get("t9").is_none() && store.get("t10").is_some());
        assert!(store.ending("t0").is_some_and(|ending| ending.success));
    }

    #[test]
    fn a_shared_value_lives_as_long_as_somebody_may_open_it() {
        let mut store = Store::default();
        for (number, name) in ["a", "b"].into_iter().enumerate() {
            open(&mut store, name, Some(1));
            let descriptor = u32::try_from(number).unwrap() + 7;
            assert!(store.note(name, &report(name, value(descriptor, MOST_BYTES))).is_empty());
            assert!(end(&mut store, name).is_empty(), "the client is there");
        }
        assert_eq!(store.forget(&["a".to_owned()], false), [7]);
        assert!(store.get("a").is_some(), "that it was is remembered");
        assert_eq!(store.bytes, MOST_BYTES);
        open(&mut store, "c", Some(2));
        assert!(store.note("c", &report("c", value(9, 1))).is_empty());
        assert!(end(&mut store, "c").is_empty());
        assert_eq!(store.leave(1), [8], "too much, and nobody is left who was told");
    }

    #[test]
    fn much_output_is_dropped_and_the_replay_says_so() {
        let mut store = Store::default();
        open(&mut store, "a", None);
        for _ in 0..3 {
            let text = "x".repeat(MOST_OUTPUT / 2);
            drop(store.note("a", &report("a", Event::Stream { name: StreamName::Stdout, text })));
        }
        drop(end(&mut store, "a"));
        let replay = store.replay("a");
        assert_eq!(replay.len(), 5);
        assert!(
            matches!(&replay[2], Told::Report { event: Event::Stream { text, .. }, .. } if text.contains("not kept"))
        );
    }

    #[test]
    fn a_failure_is_no_success() {
        let mut store = Store::default();
        open(&mut store, "a", None);
        drop(store.note("a", &report("a", done(Outcome::Aborted))));
        drop(store.note("a", &Told::Over { name: "a".to_owned() }));
        assert_eq!(store.ending("a"), Some(&Ending { success: false, ranks: BTreeSet::from([0]) }));
        assert_eq!(store.json(None, |_, _| false)[0]["parts"]["0"]["status"], "aborted");
    }
}
