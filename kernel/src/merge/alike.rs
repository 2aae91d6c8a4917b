//! What several ranks say alike, said once (`--collapse`), also while they still speak.
//!
//! Each rank's lines wait in a queue. A row, the first line of every rank, goes out when every rank that still runs has
//! said one, or when the oldest has waited [`PATIENCE`]; equal lines of a row are one. Rows in which the same ranks
//! agree go out as one block for each group, so that three lines of two groups are two blocks and not six lines.
//!
//! **Invariant**: each rank's lines and displays go out once and in its own order.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use fabric::message::Rank;
use fabric::message::report::StreamName;

use super::Piece;
use super::voice::{Said, Text, size};

/// How long a line waits for the same line of other ranks.
const PATIENCE: Duration = Duration::from_millis(500);

/// What has not gone out yet.
#[derive(Debug, Default)]
pub(super) struct Alike {
    queues: BTreeMap<Rank, VecDeque<(Instant, Item)>>,
}

/// The least that can be compared.
#[derive(Debug)]
enum Item {
    /// One line, with its newline if it has come.
    Line {
        name: StreamName,
        text: String,
        rewrites: bool,
    },
    Piece(Piece),
}

/// Rows in which the same ranks agree: for each group of ranks what they said.
type Run = Vec<(Vec<Rank>, Vec<Item>)>;

impl Alike {
    /// Takes what a rank said.
    pub(super) fn push(&mut self, rank: Rank, said: Said, now: Instant) {
        let queue = self.queues.entry(rank).or_default();
        match said {
            Said::Text(text) => {
                let mut rewrites = text.rewrites;
                for line in text.text.split_inclusive('\n') {
                    let rewrites = std::mem::take(&mut rewrites);
                    queue.push_back((now, Item::Line { name: text.name, text: line.to_owned(), rewrites }));
                }
            }
            Said::Piece(piece) => queue.push_back((now, Item::Piece(piece))),
        }
    }

    /// Gives what waits no more, each with the ranks that said it. `speaks` are the ranks that may say more.
    pub(super) fn take(&mut self, speaks: &[Rank], everything: bool, now: Instant) -> Vec<(Vec<Rank>, Said)> {
        let (mut out, mut run) = (Vec::new(), Run::new());
        while self.is_due(speaks, everything, now) {
            let row = self.row();
            let same = run.len() == row.len() && run.iter().zip(&row).all(|(old, new)| old.0 == new.0);
            if !same {
                finish(std::mem::take(&mut run), &mut out);
                run = row.iter().map(|(ranks, _)| (ranks.clone(), Vec::new())).collect();
            }
            run.iter_mut().zip(row).for_each(|((_, items), (_, item))| items.push(item));
        }
        finish(run, &mut out);
        self.queues.retain(|_, queue| !queue.is_empty());
        out
    }

    /// When what waits has waited enough.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.oldest().map(|since| since + PATIENCE)
    }

    /// Bytes that wait.
    pub(super) fn held(&self) -> usize {
        let sizes = self.queues.values().flatten().map(|(_, item)| match item {
            Item::Line { text, .. } => text.len(),
            Item::Piece(piece) => size(piece),
        });
        sizes.sum()
    }

    fn oldest(&self) -> Option<Instant> {
        self.queues.values().filter_map(|queue| queue.front()).map(|(since, _)| *since).min()
    }

    fn is_due(&self, speaks: &[Rank], everything: bool, now: Instant) -> bool {
        let Some(oldest) = self.oldest() else { return false };
        let spoke = |rank: &Rank| self.queues.get(rank).is_some_and(|queue| !queue.is_empty());
        everything || oldest + PATIENCE <= now || speaks.iter().all(spoke)
    }

    /// The first item of every rank, equal ones together.
    fn row(&mut self) -> Vec<(Vec<Rank>, Item)> {
        let mut groups: Vec<(Vec<Rank>, Item)> = Vec::new();
        for (rank, queue) in &mut self.queues {
            let Some((_, item)) = queue.pop_front() else { continue };
            match groups.iter_mut().find(|(_, known)| known.same(&item)) {
                Some((ranks, known)) => {
                    ranks.push(*rank);
                    known.join(item);
                }
                None => groups.push((vec![*rank], item)),
            }
        }
        groups
    }
}

/// Each group's items, lines of one stream as one text.
fn finish(run: Run, out: &mut Vec<(Vec<Rank>, Said)>) {
    for (ranks, items) in run {
        for item in items {
            match item {
                Item::Piece(piece) => out.push((ranks.clone(), Said::Piece(piece))),
                Item::Line { name, text, rewrites } => match out.last_mut() {
                    Some((of, Said::Text(last))) if *of == ranks && last.name == name && !rewrites => {
                        last.text.push_str(&text);
                    }
                    _ => {
                        let mut said = Text::new(name);
                        (said.text, said.rewrites) = (text, rewrites);
                        out.push((ranks.clone(), Said::Text(said)));
                    }
                },
            }
        }
    }
}

impl Item {
    fn same(&self, other: &Item) -> bool {
        match (self, other) {
            (
                Item::Line { name, text, rewrites },
                Item::Line { name: other_name, text: other_text, rewrites: other_rewrites },
            ) => name == other_name && text == other_text && rewrites == other_rewrites,
            (Item::Piece(piece), Item::Piece(other)) => piece.same(other),
            _ => false,
        }
    }

    fn join(&mut self, other: Item) {
        if let (Item::Piece(piece), Item::Piece(other)) = (self, other) {
            piece.join(other);
        }
    }
}
