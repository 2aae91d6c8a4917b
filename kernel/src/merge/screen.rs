//! What of one rank's output can be changed after it was shown: displays, and text that stands in a display of its own.
//! Both are *places*.
//!
//! Among several engines a line that is drawn again and again (`\r`: a progress bar) has a place, because on a stream
//! it could only be drawn once more below the others. And Jupyter's `clear_output` clears the whole cell: so when one
//! of several engines clears, its displays are emptied, one by one, and what it writes from then on has places, which
//! are emptied and filled again at its next clear. Text that went to the streams before stays.
//!
//! **Invariant**: places are filled in the order in which they were made, so that output of a loop that clears and
//! shows stands still. A display that user code gave a name is emptied, but never filled with anything else.

use fabric::message::report::StreamName;
use fabric::message::{Json, Rank};
use serde::Deserialize;
use serde_json::{Value, json};

use super::voice::{Said, Text};
use super::wire::{Wire, lines_after_first};
use super::{MOST_TOGETHER, Piece};

/// What the names begin with that are given here.
const OURS: &str = "parallel-python.";

/// One rank's places.
#[derive(Debug, Default)]
pub(super) struct Screen {
    places: Vec<Place>,
    /// It has cleared before, so it may again.
    cleared: bool,
    /// The next output clears first.
    clears: bool,
    /// The place that text is added to.
    current: Option<usize>,
}

#[derive(Debug)]
struct Place {
    id: String,
    /// The text in it; `None` for a display.
    text: Option<(StreamName, String)>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    /// The frontend does not know of it.
    New,
    Shown,
    /// What it shows was cleared, which the frontend has not been told.
    Stale,
    Empty,
}

/// Where everything goes.
pub(super) struct Out<'a> {
    pub(super) rank: Rank,
    /// The rank is done: it redraws nothing any more.
    pub(super) done: bool,
    /// What the names of places begin with.
    pub(super) names: &'a str,
    pub(super) wire: &'a mut Wire,
    pub(super) pieces: &'a mut Vec<Piece>,
}

/// What of a display's content names it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Content {
    transient: Transient,
    wait: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Transient {
    display_id: Option<String>,
}

impl Screen {
    /// Sends what a rank said.
    pub(super) fn show(&mut self, said: Vec<Said>, out: &mut Out<'_>) {
        for said in without_cleared(said) {
            if self.clears && is_seen(&said) {
                self.clear();
            }
            match said {
                Said::Text(text) => self.text(text, out),
                Said::Piece(piece) => self.piece(piece, out),
            }
        }
        let rank = out.rank;
        for place in self.places.iter_mut().filter(|place| place.state == State::Stale) {
            place.state = State::Empty;
            out.pieces.push(Piece::Emptied { rank, id: place.id.clone(), labelled: place.text.is_none() });
        }
    }

    fn piece(&mut self, piece: Piece, out: &mut Out<'_>) {
        if let Piece::Publish { msg_type, content, .. } = &piece {
            match msg_type.as_str() {
                "clear_output" => {
                    self.cleared = true;
                    self.clears = read(content).wait;
                    if !self.clears {
                        self.clear();
                    }
                    return;
                }
                "display_data" => {
                    let id = read(content).transient.display_id;
                    return self.display(piece, id, out);
                }
                "update_display_data" => return out.pieces.push(piece),
                _ => {}
            }
        }
        if is_seen_piece(&piece) {
            self.current = None;
        }
        out.wire.publish(piece, out.pieces);
    }

    fn display(&mut self, piece: Piece, id: Option<String>, out: &mut Out<'_>) {
        self.current = None;
        let free = |place: &&mut Place| place.is_free() && place.text.is_none() && is_ours(&place.id);
        match (&id, self.places.iter_mut().find(free)) {
            (None, Some(place)) => {
                place.state = State::Shown;
                out.pieces.push(Piece::Label { rank: out.rank, id: place.id.clone() });
                out.pieces.push(called(piece, &place.id, "update_display_data"));
            }
            (None, None) => {
                let id = self.name(out);
                let piece = called(piece, &id, "display_data");
                self.places.push(Place { id, text: None, state: State::Shown });
                out.wire.publish(piece, out.pieces);
            }
            (Some(id), _) => {
                match self.places.iter_mut().find(|place| place.id == *id) {
                    Some(place) => place.state = State::Shown,
                    None => {
                        self.places.push(Place { id: id.clone(), text: None, state: State::Shown });
                    }
                }
                out.wire.publish(piece, out.pieces);
            }
        }
    }

    /// A name for a new place.
    fn name(&self, out: &Out<'_>) -> String {
        format!("{OURS}{}.{}.{}", out.names, out.rank, self.places.len())
    }

    fn text(&mut self, mut text: Text, out: &mut Out<'_>) {
        if self.current_of(text.name).is_none() {
            if !self.cleared {
                let line = (text.redrawn && !out.done).then(|| text.split_line());
                if !text.text.is_empty() {
                    out.wire.write(&[out.rank], &text, out.pieces);
                }
                match line {
                    Some(line) => text = line,
                    None => return,
                }
            }
            self.open(text.name, out);
        }
        self.append(text, out);
    }

    /// Adds text to the place that is being written.
    fn append(&mut self, said: Text, out: &mut Out<'_>) {
        let Some(place) = self.current.and_then(|at| self.places.get_mut(at)) else { return };
        let Some((_, text)) = &mut place.text else { return };
        if said.rewrites {
            text.truncate(text.rfind('\n').map_or(0, |newline| newline + 1));
        }
        // Of text that is not to be cleared, only a line that is drawn again and again has a place.
        let first = said.text.find('\n').map(|newline| newline + 1).filter(|_| !self.cleared);
        let end = first.unwrap_or(said.text.len());
        text.push_str(&said.text[..end]);
        let full = first.is_some() || text.len() > MOST_TOGETHER;
        place.fill(out);
        if full {
            self.current = None;
        }
        if end < said.text.len() {
            self.text(said.behind(end), out);
        }
    }

    /// Begins a place for text: one that is empty, or a new one.
    fn open(&mut self, name: StreamName, out: &Out<'_>) {
        let text = Some((name, String::new()));
        let free = self.places.iter().position(|place| place.is_free() && place.text.is_some());
        self.current = Some(free.unwrap_or(self.places.len()));
        match free {
            Some(at) => self.places[at].text = text,
            None => {
                let id = self.name(out);
                self.places.push(Place { id, text, state: State::New });
            }
        }
    }

    fn current_of(&self, stream: StreamName) -> Option<usize> {
        let at = self.current?;
        let (name, _) = self.places.get(at)?.text.as_ref()?;
        (*name == stream).then_some(at)
    }

    /// From here on, what is shown is there to be replaced.
    fn clear(&mut self) {
        (self.clears, self.current) = (false, None);
        for place in self.places.iter_mut().filter(|place| place.state == State::Shown) {
            place.state = State::Stale;
        }
    }
}

impl Place {
    fn is_free(&self) -> bool {
        matches!(self.state, State::Stale | State::Empty)
    }

    /// Shows its text.
    fn fill(&mut self, out: &mut Out<'_>) {
        let Some((name, text)) = &self.text else { return };
        let update = self.state != State::New;
        if !update {
            out.wire.begin_anew(out.pieces);
        }
        let gap = if lines_after_first(text) && !text.starts_with('\n') { "\n" } else { "" };
        let text = format!("[{}:{}] {gap}{text}", name.as_str(), out.rank);
        self.state = State::Shown;
        out.pieces.push(Piece::Placed { rank: out.rank, id: self.id.clone(), update, text });
    }
}

/// What is left when everything that was cleared before it was sent is taken out.
fn without_cleared(said: Vec<Said>) -> Vec<Said> {
    let mut left: Vec<Said> = Vec::new();
    let mut clears = false;
    for one in said {
        let wait = match &one {
            Said::Piece(Piece::Publish { msg_type, content, .. }) if msg_type == "clear_output" => {
                Some(read(content).wait)
            }
            _ => None,
        };
        if wait == Some(false) || (clears && is_seen(&one)) {
            left.retain(|said| !is_seen(said));
        }
        clears = wait.unwrap_or(clears && !is_seen(&one));
        left.push(one);
    }
    left
}

/// Whether it is output that a person sees in this cell, and that clearing takes away.
fn is_seen(said: &Said) -> bool {
    match said {
        Said::Text(_) => true,
        Said::Piece(piece) => is_seen_piece(piece),
    }
}

fn is_seen_piece(piece: &Piece) -> bool {
    let Piece::Publish { msg_type, .. } = piece else { return true };
    !msg_type.starts_with("comm_") && msg_type != "clear_output" && msg_type != "update_display_data"
}

/// Whether a display has its name from here, because user code gave it none.
pub(crate) fn is_ours(id: &str) -> bool {
    id.starts_with(OURS)
}

fn read(content: &Json) -> Content {
    serde_json::from_slice(content).unwrap_or_default()
}

/// A display under this name.
fn called(piece: Piece, id: &str, msg_type: &str) -> Piece {
    const NAMELESS: &[u8] = br#""transient": {}}"#;
    let Piece::Publish { ranks, content, metadata, buffers, .. } = piece else { return piece };
    let transient = json!({"display_id": id});
    let content = match content.strip_suffix(NAMELESS) {
        // As engines write it: a picture need not be read.
        Some(rest) => [rest, format!("\"transient\": {transient}}}").as_bytes()].concat(),
        None => {
            let mut parsed: Value = serde_json::from_slice(&content).unwrap_or_default();
            parsed["transient"] = transient;
            parsed.to_string().into_bytes()
        }
    };
    let content = Json::from(content);
    Piece::Publish { ranks, msg_type: msg_type.to_owned(), content, metadata, buffers }
}
