//! What the frontend has been sent: where its last line stands and whose it is.
//!
//! Text goes out as blocks, one label each: `[stdout:2] ` and the text; a block of several lines has
//! its label on a line of its own. A block grows while nothing else comes between: an unfinished
//! line gets its rest, and below several lines more lines need no second label. When something else
//! comes, the unfinished line is ended first, and its rest begins a block of its own.
//!
//! A line that its rank rewrites (`\r`) is rewritten on the frontend too, label and all, as long as
//! it is the last one: a return, the new line, and blanks over what the old one was longer. Where
//! another line has come between, the new one is shown below.
//!
//! **Invariant**: only appends; a byte that was sent is never sent again.

use fabric::message::Rank;
use fabric::message::report::StreamName;

use super::voice::{Said, Text};
use super::{MOST_TOGETHER, Piece};
use crate::cluster::listed;

/// What was sent last.
#[derive(Debug, Default)]
pub(super) struct Wire {
    last: Option<Block>,
}

/// A labelled block of text.
#[derive(Debug)]
struct Block {
    ranks: Vec<Rank>,
    name: StreamName,
    /// Its label has a line of its own, so that more lines can follow.
    several: bool,
    /// Its last line has no newline yet.
    open: bool,
    /// The label stands on the last line.
    labelled: bool,
    /// Characters of the last line, without a label.
    width: usize,
}

impl Wire {
    /// Sends what these ranks said, each of them.
    pub(super) fn send(&mut self, ranks: &[Rank], said: Said, pieces: &mut Vec<Piece>) {
        match said {
            Said::Text(text) => self.write(ranks, &text, pieces),
            Said::Piece(piece) => self.publish(piece, pieces),
        }
    }

    /// Sends text that these ranks wrote, each of them.
    pub(super) fn write(&mut self, ranks: &[Rank], said: &Text, pieces: &mut Vec<Piece>) {
        let same = |block: &&mut Block| block.ranks == ranks && block.name == said.name;
        match self.last.as_mut().filter(same) {
            Some(block) if block.open && said.rewrites => block.rewrite(&said.text, pieces),
            Some(block) if block.open || block.several => block.append(&said.text, pieces),
            _ => {
                self.end_line(pieces);
                self.last = Some(Block::begin(ranks, said, pieces));
            }
        }
    }

    /// Sends anything else. What nobody sees (widgets' messages) comes between no two lines.
    pub(super) fn publish(&mut self, piece: Piece, pieces: &mut Vec<Piece>) {
        if !matches!(&piece, Piece::Publish { msg_type, .. } if msg_type.starts_with("comm_")) {
            self.begin_anew(pieces);
        }
        pieces.push(piece);
    }

    /// Something else comes: what follows is a block of its own.
    pub(super) fn begin_anew(&mut self, pieces: &mut Vec<Piece>) {
        self.end_line(pieces);
        self.last = None;
    }

    /// Ends the last line, where it has no newline.
    pub(super) fn end_line(&mut self, pieces: &mut Vec<Piece>) {
        if let Some(block) = self.last.as_mut().filter(|block| block.open) {
            block.append("\n", pieces);
        }
    }
}

impl Block {
    fn begin(ranks: &[Rank], said: &Text, pieces: &mut Vec<Piece>) -> Self {
        let (ranks, name) = (ranks.to_vec(), said.name);
        let mut block = Block { ranks, name, several: false, open: true, labelled: true, width: 0 };
        send(said.name, &block.label(), pieces);
        if lines_after_first(&said.text) && !said.text.starts_with('\n') {
            send(said.name, "\n", pieces);
            block.labelled = false;
        }
        block.append(&said.text, pieces);
        block
    }

    fn append(&mut self, text: &str, pieces: &mut Vec<Piece>) {
        self.several |= lines_after_first(text);
        self.open = !text.ends_with('\n');
        match text.rsplit_once('\n') {
            Some((_, line)) => {
                self.width = line.chars().count();
                self.labelled = false;
            }
            None => self.width += text.chars().count(),
        }
        send(self.name, text, pieces);
    }

    fn rewrite(&mut self, text: &str, pieces: &mut Vec<Piece>) {
        let end = text.find('\n').unwrap_or(text.len());
        let (line, rest) = text.split_at(end);
        let label = if self.labelled { self.label() } else { String::new() };
        let width = line.chars().count();
        let blanks = " ".repeat(self.width.saturating_sub(width));
        send(self.name, &format!("\r{label}{line}{blanks}"), pieces);
        self.width = width;
        if !rest.is_empty() {
            self.append(rest, pieces);
        }
    }

    fn label(&self) -> String {
        format!("[{}:{}] ", self.name.as_str(), listed(&self.ranks))
    }
}

/// Whether there is more than one line.
pub(super) fn lines_after_first(text: &str) -> bool {
    text.find('\n').is_some_and(|newline| newline + 1 < text.len())
}

/// Appends text to the last piece, if that is of the same stream and has room.
fn send(name: StreamName, mut text: &str, pieces: &mut Vec<Piece>) {
    while !text.is_empty() {
        if let Some(Piece::Stream { name: last, text: sent }) = pieces.last_mut()
            && *last == name
        {
            let (fits, rest) = text.split_at(boundary(text, MOST_TOGETHER.saturating_sub(sent.len())));
            sent.push_str(fits);
            text = rest;
        }
        if !text.is_empty() {
            pieces.push(Piece::Stream { name, text: String::new() });
        }
    }
}

/// The last character boundary that is not behind `most`.
fn boundary(text: &str, most: usize) -> usize {
    let most = most.min(text.len());
    (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}
