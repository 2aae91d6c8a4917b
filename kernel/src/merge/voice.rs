//! What one rank has said and the frontend has not been shown yet.
//!
//! Text is kept as it will look: a carriage return takes back the line it stands in, as far as that
//! line is still here; of a progress bar that was redrawn a hundred times since the last flush, the
//! last drawing remains. A return takes effect when something follows it, so that `\r\n` is a
//! newline and a bar that ends in `\r` stays to be seen.
//!
//! Owned by the [`super::Merge`]; knows nothing of other ranks, labels, or what was sent.

use std::time::Instant;

use fabric::message::report::StreamName;

use super::{MOST_TOGETHER, Piece};

/// One rank, in the order in which it speaks.
#[derive(Debug, Default)]
pub(super) struct Voice {
    said: Vec<Said>,
    held: usize,
    done: bool,
    /// How many displays and results have gone out.
    shown: u32,
    display_since: Option<Instant>,
    /// Per stream: the last character was a carriage return, whose effect is still to come.
    returned: [bool; 2],
}

/// One thing a rank said.
#[derive(Debug)]
pub(super) enum Said {
    Text(Text),
    Piece(Piece),
}

/// Text on one stream, with nothing else between.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) name: StreamName,
    /// Whole lines, then what there is of the last one.
    pub(super) text: String,
    /// The first line replaces what was sent of the line it continues.
    pub(super) rewrites: bool,
    /// The unfinished line has been drawn more than once (`\r`).
    pub(super) redrawn: bool,
    /// Where in `text` the unfinished line begins.
    line: usize,
    /// When the unfinished line was begun, if it was.
    since: Option<Instant>,
}

impl Said {
    /// Whether it is a display or a result, which stand in the order of the ranks.
    fn is_display(&self) -> bool {
        match self {
            Said::Piece(Piece::Publish { msg_type, .. }) => msg_type == "display_data",
            Said::Piece(Piece::Result { .. }) => true,
            Said::Piece(_) | Said::Text(_) => false,
        }
    }

    fn size(&self) -> usize {
        match self {
            Said::Text(text) => text.text.len(),
            Said::Piece(piece) => size(piece),
        }
    }
}

impl Voice {
    /// A rank that is no target: what it says is late output of an earlier task, and nothing waits
    /// for its end.
    pub(super) fn of_a_stranger() -> Self {
        Self { done: true, ..Self::default() }
    }

    pub(super) fn write(&mut self, name: StreamName, text: &str, now: Instant) {
        let returned = &mut self.returned[name as usize];
        if let Some(Said::Text(last)) = self.said.last_mut()
            && last.name == name
        {
            self.held -= last.text.len();
            last.push(text, returned, now);
            self.held += last.text.len();
            return;
        }
        let mut new = Text::new(name);
        new.push(text, returned, now);
        self.held += new.text.len();
        self.said.push(Said::Text(new));
    }

    pub(super) fn publish(&mut self, piece: Piece, now: Instant) {
        self.held += size(&piece);
        let said = Said::Piece(piece);
        if said.is_display() {
            self.display_since.get_or_insert(now);
        }
        self.said.push(said);
    }

    /// Since when the first display that is held has been waiting.
    pub(super) fn display_since(&self) -> Option<Instant> {
        self.display_since
    }

    /// How many displays have gone out; of a rank that is done, more than any other can have.
    pub(super) fn displays(&self) -> u32 {
        if self.done && self.said.is_empty() { u32::MAX } else { self.shown }
    }

    /// Ends it; false when it had ended already.
    pub(super) fn end(&mut self) -> bool {
        !std::mem::replace(&mut self.done, true)
    }

    /// Whether it says no more.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Bytes that are held.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Whether there is anything that waits for nothing.
    pub(super) fn is_ready(&self) -> bool {
        match &self.said[..] {
            [] => false,
            [Said::Text(only)] => {
                only.line > 0 || only.text.len() > MOST_TOGETHER || (self.done && !only.text.is_empty())
            }
            _ => true,
        }
    }

    /// Since when an unfinished line waits.
    pub(super) fn line_since(&self) -> Option<Instant> {
        match self.said.last() {
            // What stands behind a display waits with it.
            Some(Said::Text(last)) if !self.done && self.display_since.is_none() => last.since,
            _ => None,
        }
    }

    /// Gives everything in order, but for an unfinished line that still waits, and for what comes after the task's
    /// first `most` displays. `due` says whether a line that was begun then has waited enough.
    pub(super) fn take(&mut self, due: impl FnOnce(Instant) -> bool, most: u32) -> Vec<Said> {
        let mut said = std::mem::take(&mut self.said);
        let mut shown = self.shown;
        let waits_for_others = |one: &Said| {
            shown += u32::from(one.is_display());
            one.is_display() && shown > most
        };
        self.said = match said.iter().position(waits_for_others) {
            Some(at) => said.split_off(at),
            None => Vec::new(),
        };
        self.shown += u32::try_from(said.iter().filter(|one| one.is_display()).count()).unwrap_or(u32::MAX);
        if self.said.is_empty() {
            self.display_since = None;
        }
        self.held = self.said.iter().map(Said::size).sum();
        if let Some(Said::Text(last)) = said.last_mut()
            && !self.done
            && self.said.is_empty()
            && last.text.len() - last.line <= MOST_TOGETHER
            && last.since.is_some_and(|since| !due(since))
        {
            let line = last.split_line();
            self.held = line.text.len();
            self.said.push(Said::Text(line));
        }
        said.retain(|said| !matches!(said, Said::Text(text) if text.text.is_empty()));
        said
    }
}

impl Text {
    pub(super) fn new(name: StreamName) -> Self {
        Text { name, text: String::new(), rewrites: false, redrawn: false, line: 0, since: None }
    }

    /// Appends what was written; `returned` is the carriage return that came before, or the one
    /// that this ends in.
    pub(super) fn push(&mut self, written: &str, returned: &mut bool, now: Instant) {
        if !*returned && !written.contains('\r') {
            return self.append(written, now);
        }
        // Of several returns in a row, one has an effect.
        let mut rest = if *returned { written.trim_start_matches('\r') } else { written };
        while let Some(next) = rest.chars().next() {
            if std::mem::take(returned) && next != '\n' {
                self.take_line_back();
            }
            let end = rest.find('\r').unwrap_or(rest.len());
            self.append(&rest[..end], now);
            *returned = end < rest.len();
            rest = rest[end..].trim_start_matches('\r');
        }
    }

    fn append(&mut self, text: &str, now: Instant) {
        let begin = self.text.len();
        self.text.push_str(text);
        if let Some(newline) = text.rfind('\n') {
            self.line = begin + newline + 1;
            self.since = None;
            self.redrawn = false;
        }
        if self.line < self.text.len() {
            self.since.get_or_insert(now);
        }
    }

    /// The line begins anew. Since when it has waited stays: a bar that is redrawn all the time is
    /// to be seen all the same.
    fn take_line_back(&mut self) {
        self.text.truncate(self.line);
        self.rewrites |= self.line == 0;
        self.redrawn = true;
    }

    /// Takes off the unfinished line.
    pub(super) fn split_line(&mut self) -> Text {
        let text = self.text.split_off(self.line);
        // Where whole lines go before it, this one continues nothing.
        let rewrites = self.rewrites && self.line == 0;
        let redrawn = std::mem::take(&mut self.redrawn);
        Text { name: self.name, text, rewrites, redrawn, line: 0, since: self.since }
    }

    /// What stands behind its first `end` bytes, which end in a newline or are all there is.
    pub(super) fn behind(mut self, end: usize) -> Text {
        self.text.drain(..end);
        Text { rewrites: false, line: self.line.saturating_sub(end), ..self }
    }
}

pub(super) fn size(piece: &Piece) -> usize {
    match piece {
        Piece::Stream { text, .. } => text.len(),
        Piece::Publish { content, metadata, buffers, .. } => {
            content.len() + metadata.len() + buffers.iter().map(|buffer| buffer.len()).sum::<usize>()
        }
        Piece::Result { content, .. } => content.len(),
        Piece::Placed { text, .. } => text.len(),
        Piece::Emptied { .. } | Piece::Label { .. } => 0,
    }
}
