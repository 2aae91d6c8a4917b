//! Many engines, one voice: what each rank reports goes in, what the frontend is to see comes out.
//!
//! ```text
//!  rank 0 ─► Voice ─┐
//!  rank 1 ─► Voice ─┼─ flush, by rank ─► Wire ─► pieces ─► iopub
//!  rank 2 ─► Voice ─┘  150 ms, then 50   labels, open lines
//! ```
//!
//! Nothing goes out in the first 150 ms of a task unless all of its targets are done, so a short cell
//! always reads rank 0, 1, 2, …; from then on a flush follows 50 ms after there is something for it.
//! A line waits for its newline until its rank is done or says something else, or for 500 ms.
//!
//! **Invariant**: a pure function of reports and time. What was sent is never sent again: the bytes
//! that go out grow with the bytes that came in. Each rank's text, displays and results keep the
//! order in which that rank made them; all of its text stands under its label; no character is cut.
//! What is held is what came since the last flush, and never more than [`MOST_HELD`].
//!
//! **Boundary**: one `Merge` per task, owned by the cell that runs it. How a task ended, what it
//! raised and what an engine's death means is the cell's business; here both are the end of a voice.

mod alike;
mod gather;
mod screen;
mod voice;
mod wire;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fabric::message::report::{Event, StreamName};
use fabric::message::{Buffer, Json, Rank};

use alike::Alike;
pub use gather::Gather;
pub(crate) use screen::is_ours;
use screen::{Out, Screen};
use voice::Voice;
use wire::Wire;

/// How long a task has to end for all of its output to be in the order of the ranks.
const OPENING: Duration = Duration::from_millis(150);
/// How long a flush waits for what other ranks have to say to the same.
const WINDOW: Duration = Duration::from_millis(50);
/// How long a line waits for its newline.
const LINE_WAIT: Duration = Duration::from_millis(500);
/// How long a display or a result waits for those of lower ranks.
const DISPLAY_WAIT: Duration = Duration::from_secs(1);
/// Bytes that may be held; more of them go out at once.
const MOST_HELD: usize = 4 << 20;
/// Bytes that one piece of a stream may hold, and that a line may have while it waits.
const MOST_TOGETHER: usize = 64 << 10;

/// One thing for the frontend to show.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// Text of a stream: a Jupyter `stream` message.
    Stream {
        /// Which stream.
        name: StreamName,
        /// The text, labelled, to be appended to what the stream already shows.
        text: String,
    },
    /// A message of an engine's own, to be passed on.
    Publish {
        /// The engines that said it, ascending.
        ranks: Vec<Rank>,
        /// The message's type.
        msg_type: String,
        /// Its content, a JSON object.
        content: Json,
        /// Its metadata, a JSON object.
        metadata: Json,
        /// Its buffers.
        buffers: Vec<Buffer>,
    },
    /// Text in a display of its own.
    Placed {
        /// The engine.
        rank: Rank,
        /// The display's name.
        id: String,
        /// Whether it is there, and this is its new state.
        update: bool,
        /// All of its text, labelled.
        text: String,
    },
    /// A display is to show nothing any more.
    Emptied {
        /// The engine.
        rank: Rank,
        /// The display's name.
        id: String,
        /// Whether a label stands before it.
        labelled: bool,
    },
    /// The label before a display that was empty is to be seen again.
    Label {
        /// The engine.
        rank: Rank,
        /// The display's name.
        id: String,
    },
    /// The value of an engine's last expression.
    Result {
        /// The engines that said it, ascending.
        ranks: Vec<Rank>,
        /// Their own execution count; `None` where they differ.
        count: Option<u32>,
        /// `{"data": mimebundle, "metadata": object}`.
        content: Json,
    },
}

impl Piece {
    /// What an engine displayed or gave as a value; `None` for anything else.
    pub fn of(rank: Rank, event: &Event) -> Option<Self> {
        match event {
            Event::Publish { msg_type, content, metadata, buffers } => Some(Piece::Publish {
                ranks: vec![rank],
                msg_type: msg_type.clone(),
                content: content.clone(),
                metadata: metadata.clone(),
                buffers: buffers.clone(),
            }),
            Event::Result { count, content } => {
                Some(Piece::Result { ranks: vec![rank], count: Some(*count), content: content.clone() })
            }
            _ => None,
        }
    }
}

/// The output of one task.
#[derive(Debug)]
pub struct Merge {
    voices: BTreeMap<Rank, Voice>,
    /// Targets that are not done.
    running: usize,
    /// Before this, nothing goes out.
    opens: Instant,
    /// When what is ready goes out; `None` while nothing is.
    flush_at: Option<Instant>,
    held: usize,
    /// What several ranks say alike, where that is to be said once.
    alike: Option<Alike>,
    wire: Wire,
    /// What of each rank's output can be changed, where there are several.
    screens: Option<BTreeMap<Rank, Screen>>,
    name: String,
}

impl Merge {
    /// The output of a task that `targets` begin with at `now`.
    #[must_use]
    pub fn new(targets: &[Rank], now: Instant) -> Self {
        let voices: BTreeMap<Rank, Voice> = targets.iter().map(|rank| (*rank, Voice::default())).collect();
        let running = voices.len();
        // The only rank has the cell to itself: it may redraw and clear what it likes.
        let screens = (running > 1).then(BTreeMap::new);
        let (opens, wire, name) = (now + OPENING, Wire::default(), String::new());
        Self { voices, running, opens, flush_at: None, held: 0, alike: None, wire, screens, name }
    }

    /// The same, and what several ranks say alike is shown once.
    #[must_use]
    pub fn collapsed(targets: &[Rank], now: Instant) -> Self {
        Self { alike: Some(Alike::default()), screens: None, ..Self::new(targets, now) }
    }

    /// The same, with a name that no other output of these engines has: places are called after it.
    #[must_use]
    pub fn named(self, name: String) -> Self {
        Self { name, ..self }
    }

    /// Takes what `rank` reported, and gives what is to be shown now.
    ///
    /// A task's end, an exception and IPython's pager are not output: of those, only the end counts.
    pub fn on(&mut self, rank: Rank, event: &Event, now: Instant) -> Vec<Piece> {
        let voice = self.voices.entry(rank).or_insert_with(Voice::of_a_stranger);
        let before = voice.held();
        match event {
            Event::Stream { name, text } => voice.write(*name, text, now),
            Event::Publish { .. } | Event::Result { .. } => {
                if let Some(piece) = Piece::of(rank, event) {
                    voice.publish(piece, now);
                }
            }
            Event::Payload { .. }
            | Event::Value { .. }
            | Event::Data { .. }
            | Event::Ask { .. }
            | Event::Usage { .. } => {}
            Event::Done { .. } => return self.end(rank, now),
        }
        self.held = self.held + voice.held() - before;
        self.heard(rank, now)
    }

    /// Takes note that `rank` died: what it said goes out, and nothing waits for it any more.
    pub fn lost(&mut self, rank: Rank, now: Instant) -> Vec<Piece> {
        self.end(rank, now)
    }

    /// Gives everything that is held, and ends the last line: somebody is about to be asked something, and
    /// frontends show question and answer among the output.
    pub fn give_all(&mut self, now: Instant) -> Vec<Piece> {
        let mut pieces = self.flush(now, true);
        self.wire.begin_anew(&mut pieces);
        pieces
    }

    /// Gives what is to be shown at `now`, when [`Merge::deadline`] has come.
    pub fn tick(&mut self, now: Instant) -> Vec<Piece> {
        match self.deadline() {
            Some(deadline) if deadline <= now => self.flush(now, false),
            _ => Vec::new(),
        }
    }

    /// When [`Merge::tick`] is wanted next; `None` when nothing is held.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let lines = self.voices.values().filter_map(Voice::line_since).map(|since| since + LINE_WAIT);
        let displays =
            self.voices.values().filter_map(Voice::display_since).map(|since| since + DISPLAY_WAIT);
        let rows = self.alike.as_ref().and_then(Alike::deadline);
        lines.chain(displays).chain(self.flush_at).chain(rows).min()
    }

    /// Whether all targets are done and everything they said has gone out.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.running == 0 && self.held == 0
    }

    fn end(&mut self, rank: Rank, now: Instant) -> Vec<Piece> {
        if !self.voices.get_mut(&rank).is_some_and(Voice::end) {
            return Vec::new();
        }
        self.running -= 1;
        if self.voices.values().any(|voice| voice.display_since().is_some()) {
            self.flush_at.get_or_insert(self.opens.max(now + WINDOW));
        }
        let mut pieces = self.heard(rank, now);
        if self.running == 0 {
            self.wire.end_line(&mut pieces);
        }
        pieces
    }

    /// Decides when what `rank` just said goes out, which may be now.
    fn heard(&mut self, rank: Rank, now: Instant) -> Vec<Piece> {
        if self.running == 0 || self.held > MOST_HELD {
            return self.flush(now, false);
        }
        if self.flush_at.is_none() && self.voices.get(&rank).is_some_and(Voice::is_ready) {
            self.flush_at = Some(self.opens.max(now + WINDOW));
        }
        match self.flush_at {
            Some(at) if at <= now => self.flush(now, false),
            _ => Vec::new(),
        }
    }

    /// Everything that is ready, by rank.
    fn flush(&mut self, now: Instant, all: bool) -> Vec<Piece> {
        let everything = all || self.running == 0 || self.held > MOST_HELD;
        let mut pieces = Vec::new();
        // As many displays as a rank may show without being ahead of those before it.
        let mut least = u32::MAX;
        for (rank, voice) in &mut self.voices {
            // A line that is nearly due goes with the others, so that lines of the same moment
            // stay in the order of the ranks.
            let due = |since: Instant| everything || now.duration_since(since) + WINDOW >= LINE_WAIT;
            let overdue = voice.display_since().is_some_and(|since| now >= since + DISPLAY_WAIT);
            // What is to be shown once has an order of its own.
            let free = everything || overdue || self.alike.is_some();
            let said = voice.take(due, if free { u32::MAX } else { least });
            least = least.min(voice.displays());
            if let Some(alike) = &mut self.alike {
                said.into_iter().for_each(|said| alike.push(*rank, said, now));
                continue;
            }
            let mut out = Out {
                rank: *rank,
                done: voice.is_done(),
                names: &self.name,
                wire: &mut self.wire,
                pieces: &mut pieces,
            };
            match &mut self.screens {
                Some(screens) => screens.entry(*rank).or_default().show(said, &mut out),
                None => said.into_iter().for_each(|said| out.wire.send(&[*rank], said, out.pieces)),
            }
        }
        if let Some(alike) = &mut self.alike {
            let speaks: Vec<Rank> =
                self.voices.iter().filter(|(_, voice)| !voice.is_done()).map(|(rank, _)| *rank).collect();
            for (ranks, said) in alike.take(&speaks, everything, now) {
                self.wire.send(&ranks, said, &mut pieces);
            }
        }
        self.flush_at = None;
        self.held =
            self.voices.values().map(Voice::held).sum::<usize>() + self.alike.as_ref().map_or(0, Alike::held);
        pieces
    }
}

#[cfg(test)]
mod tests;
