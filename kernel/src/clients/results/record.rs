//! What is remembered of one task.

use std::collections::{BTreeMap, BTreeSet};

use fabric::message::Rank;
use fabric::message::client::Told;
use fabric::message::payload::Payload;
use fabric::message::report::{Event, Outcome};
use fabric::message::task::Work;
use serde_json::{Value, json};

use crate::clients::ClientId;
use crate::clients::files::files_of_event;
use crate::clients::named::Meant;
use crate::cluster::SetId;

/// How many bytes of one task's output are kept: the figures of some hundred engines.
pub(super) const MOST_OUTPUT: u64 = 32 << 20;

/// What it takes to remember that something was shown, however little.
const ENTRY: u64 = 256;

/// How many bytes are kept of what one task shows of its state (`publish_data`), the latest.
pub(super) const MOST_DATA: u64 = 256 << 20;

/// From this size on, in bytes, a value in shared memory is not kept for whoever asks for it again.
pub(super) const LARGE: u64 = 256 << 10;

/// What is said of a value that is not kept any more.
const LET_GO: &str = "it is large, and was let go of when the last one who had taken it held it no more: keep its \
                      `AsyncResult`, or what it gave";

/// One task.
#[derive(Debug)]
pub(in crate::clients) struct Record {
    pub(super) number: u64,
    pub(in crate::clients) label: String,
    pub(super) code: Option<String>,
    /// Who submitted it; `None`: a parallel cell.
    pub(super) client: Option<ClientId>,
    /// Who answers what its code asks.
    pub(in crate::clients) asker: Option<ClientId>,
    /// Where; `None`: wherever there is room.
    pub(super) targets: Option<Vec<Rank>>,
    /// In seconds since the epoch.
    pub(super) submitted: Option<f64>,
    /// Who is told of it.
    pub(in crate::clients) watchers: BTreeSet<ClientId>,
    pub(super) log: Vec<Told>,
    pub(super) parts: BTreeMap<Rank, Part>,
    /// Of values and of output.
    pub(super) bytes: u64,
    /// Of these, bytes of output.
    output: u64,
    /// Of these, bytes of what it showed of its state.
    shown: u64,
    /// Bytes of output that are not kept.
    pub(super) dropped: u64,
    /// Memory files of its values, by their descriptors in this process.
    pub(super) files: Vec<u32>,
    pub(in crate::clients) over: bool,
    /// Somebody has had its values.
    pub(super) taken: bool,
}

/// What is known of a task on one engine.
#[derive(Debug, Clone, Default)]
pub(super) struct Part {
    /// How it ended there.
    pub(super) ending: Option<&'static str>,
    times: Option<(f64, f64)>,
    /// Of which set the engine was.
    pub(super) set: SetId,
}

/// What a task is when it begins.
pub(in crate::clients) struct New<'a> {
    pub(in crate::clients) name: &'a str,
    pub(in crate::clients) label: &'a str,
    pub(in crate::clients) work: &'a Work,
    pub(in crate::clients) client: Option<ClientId>,
    pub(in crate::clients) asker: Option<ClientId>,
    pub(in crate::clients) targets: Option<Vec<Rank>>,
    pub(in crate::clients) submitted: Option<f64>,
}

impl Record {
    pub(super) fn new(number: u64, new: New<'_>) -> Record {
        let code = match new.work {
            Work::Execute { code, .. } => Some(code.clone()),
            Work::Apply { .. } | Work::Comm { .. } | Work::Look { .. } => None,
        };
        Record {
            number,
            label: new.label.to_owned(),
            code,
            client: new.client,
            asker: new.asker,
            targets: new.targets,
            submitted: new.submitted,
            watchers: new.client.into_iter().chain(new.asker).collect(),
            log: Vec::new(),
            parts: BTreeMap::new(),
            output: 0,
            dropped: 0,
            bytes: 0,
            shown: 0,
            files: Vec::new(),
            over: false,
            taken: false,
        }
    }

    /// The part on an engine of a set.
    pub(super) fn part(&mut self, rank: Rank, set: SetId) -> &mut Part {
        let part = self.parts.entry(rank).or_default();
        part.set = set;
        part
    }

    pub(super) fn happened(&mut self, rank: Rank, set: SetId, event: &Event) {
        let part = self.part(rank, set);
        if let Event::Done { outcome, started, completed, .. } = event {
            part.ending = Some(match outcome {
                Outcome::Ok => "ok",
                Outcome::Error(_) => "error",
                Outcome::Aborted => "aborted",
            });
            part.times = (*started > 0.0).then_some((*started, *completed));
        }
    }

    /// Remembers it. Returns the memory files of what is not remembered any more.
    #[must_use]
    pub(super) fn keep(&mut self, told: &Told) -> Vec<u32> {
        if let Told::Report { event, .. } = told {
            let size = output_of(event);
            if self.output + size > MOST_OUTPUT {
                self.dropped += size - ENTRY;
                return Vec::new();
            }
            self.output += size;
            self.bytes += kept(event);
            self.files.extend(files_of_event(event));
        }
        self.log.push(told.clone());
        match told {
            Told::Report { event: Event::Data { payload }, .. } => {
                self.shown += payload.size();
                self.drop_shown()
            }
            _ => Vec::new(),
        }
    }

    /// Drops the oldest of what it showed while that is too much: the memory files of it.
    fn drop_shown(&mut self) -> Vec<u32> {
        let mut files = Vec::new();
        let is_shown = |told: &Told| matches!(told, Told::Report { event: Event::Data { .. }, .. });
        while self.shown > MOST_DATA
            && let Some(place) = self.log.iter().position(is_shown)
            && let Told::Report { event, .. } = self.log.remove(place)
        {
            let size = kept(&event);
            self.shown -= size;
            self.bytes -= size;
            files.extend(files_of_event(&event));
        }
        self.files.retain(|file| !files.contains(file));
        files
    }

    /// Drops what is large and in shared memory if it was taken and nobody holds it. Returns the memory files; `bytes`
    /// are those of all records. Who asks for a value later is told why it is not there.
    #[must_use]
    pub(super) fn drop_what_was_taken(&mut self, bytes: &mut u64) -> Vec<u32> {
        if !self.over || !self.taken || !self.watchers.is_empty() || self.files.is_empty() {
            return Vec::new();
        }
        let (mut files, mut dropped) = (Vec::new(), 0);
        for told in &mut self.log {
            let Told::Report { event, .. } = told else { continue };
            if kept(event) < LARGE {
                continue;
            }
            files.extend(files_of_event(event));
            let is_shown = matches!(event, Event::Data { .. });
            let lost = event.payload_mut().map_or(0, |payload| payload.lose_shared(LET_GO));
            dropped += lost;
            self.shown -= if is_shown { lost } else { 0 };
        }
        self.bytes -= dropped;
        *bytes -= dropped;
        self.files.retain(|file| !files.contains(file));
        files
    }

    /// Drops what these engines did of it: the memory files of their values.
    #[must_use]
    pub(super) fn forget_parts(&mut self, meant: &Meant) -> Vec<u32> {
        let (mut files, mut dropped, mut output, mut shown) = (Vec::new(), 0, 0, 0);
        self.log.retain(|told| match told {
            Told::Report { rank, event, .. } if meant.has(*rank) => {
                let size = kept(event);
                dropped += size;
                output += output_of(event);
                shown += if matches!(event, Event::Data { .. }) { size } else { 0 };
                files.extend(files_of_event(event));
                false
            }
            Told::Lost { rank, .. } => !meant.has(*rank),
            _ => true,
        });
        self.bytes -= dropped;
        self.output -= output;
        self.shown -= shown;
        self.files.retain(|file| !files.contains(file));
        self.parts.retain(|rank, _| !meant.has(*rank));
        if let Some(targets) = &mut self.targets {
            targets.retain(|rank| !meant.has(*rank));
        }
        files
    }

    /// The kernel whose parallel cell this is, if it is another process's.
    pub(in crate::clients) fn kernel(&self) -> Option<ClientId> {
        self.asker.filter(|_| self.client.is_none())
    }

    /// Somebody who is there was told of a memory file and has not said to be done with it.
    pub(super) fn is_held(&self) -> bool {
        !self.files.is_empty() && !self.watchers.is_empty()
    }

    pub(super) fn json(&self, name: &str, runs: &impl Fn(&str, Rank) -> bool) -> Value {
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

/// How many bytes are kept for an event.
fn kept(event: &Event) -> u64 {
    event.payload().map_or(0, Payload::size) + output_of(event)
}

/// How much of a task's output an event is. What a task is for is no output.
fn output_of(event: &Event) -> u64 {
    let size = match event {
        Event::Stream { text, .. } => text.len(),
        Event::Publish { content, buffers, .. } => {
            content.len() + buffers.iter().map(|buffer| buffer.len()).sum::<usize>()
        }
        Event::Result { content, .. } | Event::Payload { content } => content.len(),
        Event::Value { .. }
        | Event::Data { .. }
        | Event::Done { .. }
        | Event::Usage { .. }
        | Event::Ask { .. } => return 0,
    };
    ENTRY + size as u64
}
