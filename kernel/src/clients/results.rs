//! What is remembered of tasks: of those that run, of those that ended, of `%px` cells too.
//!
//! **Invariant**: a task that has not ended is remembered. Of those that ended, [`MOST`] records and [`MOST_BYTES`]
//! of values are kept, the latest; a value in shared memory that somebody was told of and may not have opened
//! yet is kept beyond that, until everybody who was told holds it no more or has gone. Then it goes at once if it
//! was taken, so that memory is free when the last one has let go of it; what nobody has looked at can still be
//! asked for. How tasks ended is kept longer than their records, for tasks that depend on them.

mod record;

use std::collections::{BTreeSet, HashMap, VecDeque};

use fabric::message::Rank;
use fabric::message::client::Told;
use fabric::message::report::{Event, StreamName};
use serde_json::Value;

use super::ClientId;
use super::files::files_of_event;
use super::named::{Meant, meant};
use crate::cluster::SetId;
pub(super) use record::{New, Record};

/// How many ended tasks are remembered with all that is known of them.
const MOST: usize = 1024;

/// How many bytes of values are kept of ended tasks.
const MOST_BYTES: u64 = 1 << 30;

/// Of how many tasks it is known how they ended.
const MOST_ENDINGS: usize = 1 << 16;

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) success: bool,
    /// Where it ran.
    pub(super) ranks: BTreeSet<Rank>,
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
    /// Of which set the engines are that something happens on.
    set: SetId,
}

impl Store {
    /// Engines are of this set from now on.
    pub(super) fn engines_are(&mut self, set: SetId) {
        self.set = set;
    }

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

    /// How a task ended on one engine, which may be before it ends on the others.
    pub(super) fn part_ending(&self, name: &str, rank: Rank) -> Option<Ending> {
        let part = self.records.get(name).and_then(|record| record.parts.get(&rank)?.ending);
        let success = match (part, self.ending(name)) {
            (Some(how), _) => how == "ok",
            (None, Some(whole)) => whole.success,
            (None, None) => return None,
        };
        Some(Ending { success, ranks: BTreeSet::from([rank]) })
    }

    /// Whether there is or was such a task, on this engine if one is named.
    pub(super) fn knows_part(&self, name: &str, rank: Option<Rank>) -> bool {
        let targets = self.records.get(name).and_then(|record| record.targets.as_ref());
        self.knows(name) && rank.is_none_or(|rank| targets.is_none_or(|targets| targets.contains(&rank)))
    }

    /// A task begins.
    pub(super) fn open(&mut self, new: New<'_>) {
        self.last += 1;
        let (name, record) = (new.name.to_owned(), Record::new(self.last, new));
        self.records.insert(name, record);
    }

    /// Something happened to a task. Returns the memory files that nobody needs any more.
    #[must_use]
    pub(super) fn note(&mut self, name: &str, told: &Told) -> Vec<u32> {
        let Some(record) = self.records.get_mut(name) else { return files_of(told) };
        match told {
            Told::Report { rank, event, .. } => record.happened(*rank, self.set, event),
            Told::Lost { rank, .. } => record.part(*rank, self.set).ending = Some("lost"),
            _ => {}
        }
        let before = record.bytes;
        let mut files = record.keep(told);
        self.bytes = self.bytes + record.bytes - before;
        if !matches!(told, Told::Over { .. } | Told::Refused { .. }) {
            return files;
        }
        record.over = true;
        // A kernel shows its cell, and holds none of its values.
        if let Some(kernel) = record.kernel() {
            record.watchers.remove(&kernel);
        }
        let success = matches!(told, Told::Over { .. })
            && record.parts.values().all(|part| matches!(part.ending, Some("ok")));
        let ending = Ending { success, ranks: record.parts.keys().copied().collect() };
        self.endings.insert(name.to_owned(), ending);
        self.endings_order.push_back(name.to_owned());
        self.ended.push_back(name.to_owned());
        files.extend(record.drop_what_was_taken(&mut self.bytes));
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

    /// A client holds these tasks no more; `taken`: it has had their values. Returns the memory files to close.
    #[must_use]
    pub(super) fn let_go(&mut self, client: ClientId, names: &[String], taken: bool) -> Vec<u32> {
        let mut files = Vec::new();
        for name in names {
            let Some(record) = self.records.get_mut(name) else { continue };
            record.watchers.remove(&client);
            record.taken |= taken;
            files.extend(record.drop_what_was_taken(&mut self.bytes));
        }
        files.extend(self.trim());
        files
    }

    /// Nobody asks for these tasks again, or for these parts of them. Returns the memory files to close.
    #[must_use]
    pub(super) fn purge(&mut self, ids: &[String]) -> Vec<u32> {
        let mut files = Vec::new();
        for (name, meant) in meant(ids) {
            let Some(record) = self.records.get_mut(name) else { continue };
            if !record.over {
                // Its values go when it has ended, and nobody waits for it.
                record.taken |= meant == Meant::Whole;
                continue;
            }
            let before = record.bytes;
            files.extend(record.forget_parts(&meant));
            self.bytes -= before - record.bytes;
            if record.parts.is_empty() {
                files.append(&mut record.files);
                self.bytes -= record.bytes;
                self.records.remove(name);
                self.ended.retain(|ended| ended != name);
            }
        }
        files
    }

    /// A client has gone. Returns the memory files to close.
    #[must_use]
    pub(super) fn leave(&mut self, client: ClientId) -> Vec<u32> {
        let mut files = Vec::new();
        for record in self.records.values_mut() {
            record.watchers.remove(&client);
            record.asker.take_if(|asker| *asker == client);
            files.extend(record.drop_what_was_taken(&mut self.bytes));
        }
        files.extend(self.trim());
        files
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

    /// The remembered tasks that an engine of the current set has ended, in the order in which they ended everywhere.
    pub(super) fn ended_on(&self, rank: Rank) -> Vec<&str> {
        let part = |name: &String| self.records.get(name)?.parts.get(&rank);
        let ran = |name: &&String| part(name).is_some_and(|part| part.set == self.set);
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
mod tests;
