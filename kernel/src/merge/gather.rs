//! Output that is shown all at once, grouped: what `--no-stream` collects, and what `%pxresult` shows again.
//!
//! Text is kept as it will look (see [`super::voice`]); a display that is updated keeps its place, and what an engine
//! clears is forgotten.
//!
//! **Invariant**: everything that came in goes out once, by [`Gather::take`], each rank's outputs in its own order.

use std::collections::BTreeMap;

use fabric::message::report::{Event, StreamName};
use fabric::message::{Json, Rank};
use magics::GroupBy;
use serde_json::Value;

use super::Piece;
use super::voice::{Text, size};
use super::wire::Wire;

/// Bytes that may be kept; with more of them, what is there is shown as it stands.
const MOST_KEPT: usize = 64 << 20;

/// The output of one task, or that part of it that is to be grouped.
#[derive(Debug)]
pub struct Gather {
    ranks: BTreeMap<Rank, Kept>,
    group: GroupBy,
    collapse: bool,
    kept: usize,
}

/// What one rank has said.
#[derive(Debug)]
struct Kept {
    texts: [(Text, bool); 2],
    displays: Vec<Piece>,
    result: Option<Piece>,
    /// It has asked to clear its output as soon as there is something new.
    clears: bool,
}

impl Gather {
    /// Nothing yet.
    #[must_use]
    pub fn new(group: GroupBy, collapse: bool) -> Self {
        Self { ranks: BTreeMap::new(), group, collapse, kept: 0 }
    }

    /// Takes what `rank` reported.
    pub fn on(&mut self, rank: Rank, event: &Event, now: std::time::Instant) {
        let kept = self.ranks.entry(rank).or_default();
        match event {
            Event::Stream { name, text } => {
                kept.begin();
                let (all, returned) = &mut kept.texts[*name as usize];
                all.push(text, returned, now);
                self.kept += text.len();
            }
            Event::Publish { msg_type, content, .. } if msg_type == "clear_output" => kept.clear(content),
            Event::Publish { .. } | Event::Result { .. } => {
                let Some(piece) = Piece::of(rank, event) else { return };
                kept.begin();
                self.kept += size(&piece);
                kept.add(piece);
            }
            _ => {}
        }
    }

    /// Whether there is so much that it is better shown than kept.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.kept > MOST_KEPT
    }

    /// Everything, grouped.
    pub fn take(&mut self) -> Vec<Piece> {
        let mut ranks = std::mem::take(&mut self.ranks);
        self.kept = 0;
        let mut show = Show { wire: Wire::default(), pieces: Vec::new(), collapse: self.collapse };
        match self.group {
            GroupBy::Engine => {
                for (rank, kept) in ranks {
                    let displays = kept.displays.clone();
                    let mut alone = BTreeMap::from([(rank, kept)]);
                    show.texts(&alone);
                    displays.into_iter().for_each(|piece| show.piece(piece));
                    show.results(&mut alone);
                }
            }
            GroupBy::Type => {
                show.texts(&ranks);
                show.pieces(ranks.values_mut().map(|kept| std::mem::take(&mut kept.displays)));
                show.results(&mut ranks);
            }
            GroupBy::Order => {
                show.texts(&ranks);
                let most = ranks.values().map(|kept| kept.displays.len()).max().unwrap_or_default();
                for place in 0..most {
                    let at_place = ranks.values().filter_map(|kept| kept.displays.get(place).cloned());
                    show.pieces(at_place.map(|piece| vec![piece]));
                }
                show.results(&mut ranks);
            }
        }
        show.wire.end_line(&mut show.pieces);
        show.pieces
    }
}

impl Default for Kept {
    fn default() -> Self {
        let text = |name| (Text::new(name), false);
        Kept {
            texts: [text(StreamName::Stdout), text(StreamName::Stderr)],
            displays: Vec::new(),
            result: None,
            clears: false,
        }
    }
}

impl Kept {
    /// Something new comes: what was to be cleared for it goes.
    fn begin(&mut self) {
        if std::mem::take(&mut self.clears) {
            *self = Kept::default();
        }
    }

    fn clear(&mut self, content: &Json) {
        self.clears = true;
        let content: Value = serde_json::from_slice(content).unwrap_or_default();
        if content["wait"] != Value::Bool(true) {
            self.begin();
        }
    }

    fn add(&mut self, piece: Piece) {
        match &piece {
            Piece::Result { .. } => self.result = Some(piece),
            Piece::Publish { msg_type, content, .. } if msg_type == "update_display_data" => {
                let id = display_id(content);
                let shown = self.displays.iter_mut().find(|shown| match shown {
                    Piece::Publish { content, .. } => id.is_some() && display_id(content) == id,
                    _ => false,
                });
                match (shown, piece) {
                    (
                        Some(Piece::Publish { content, metadata, buffers, .. }),
                        Piece::Publish { content: new, metadata: about, buffers: more, .. },
                    ) => {
                        (*content, *metadata, *buffers) = (new, about, more);
                    }
                    (_, piece) => self.displays.push(piece),
                }
            }
            _ => self.displays.push(piece),
        }
    }
}

/// The name under which a display can be updated.
pub(super) fn display_id(content: &Json) -> Option<String> {
    let content: Value = serde_json::from_slice(content).ok()?;
    Some(content.get("transient")?.get("display_id")?.as_str()?.to_owned())
}

/// What is on its way out.
struct Show {
    wire: Wire,
    pieces: Vec<Piece>,
    collapse: bool,
}

impl Show {
    fn texts(&mut self, ranks: &BTreeMap<Rank, Kept>) {
        for stream in 0..2 {
            let texts = ranks.iter().map(|(rank, kept)| (*rank, &kept.texts[stream].0));
            let texts = texts.filter(|(_, text)| !text.text.is_empty());
            for (ranks, text) in self.alike(texts, |a, b| a.text == b.text, |_, _| {}) {
                self.wire.write(&ranks, text, &mut self.pieces);
            }
        }
    }

    fn results(&mut self, ranks: &mut BTreeMap<Rank, Kept>) {
        self.pieces(ranks.values_mut().filter_map(|kept| kept.result.take()).map(|piece| vec![piece]));
    }

    /// What each rank displayed, the ranks one after the other.
    fn pieces(&mut self, by_rank: impl Iterator<Item = Vec<Piece>>) {
        let by_rank = by_rank.filter(|pieces| !pieces.is_empty()).map(|pieces| (ranks_of(&pieces), pieces));
        let by_rank = by_rank.flat_map(|(ranks, pieces)| ranks.first().map(|rank| (*rank, pieces)));
        let same =
            |a: &Vec<Piece>, b: &Vec<Piece>| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b));
        let join = |a: &mut Vec<Piece>, b: Vec<Piece>| a.iter_mut().zip(b).for_each(|(a, b)| a.join(b));
        for (_, pieces) in self.alike(by_rank, same, join) {
            pieces.into_iter().for_each(|piece| self.piece(piece));
        }
    }

    fn piece(&mut self, piece: Piece) {
        self.wire.publish(piece, &mut self.pieces);
    }

    /// The same thing of several ranks once, where that is wanted.
    fn alike<T>(
        &self,
        said: impl Iterator<Item = (Rank, T)>,
        same: impl Fn(&T, &T) -> bool,
        join: impl Fn(&mut T, T),
    ) -> Vec<(Vec<Rank>, T)> {
        let mut groups: Vec<(Vec<Rank>, T)> = Vec::new();
        for (rank, what) in said {
            match groups.iter_mut().find(|(_, known)| self.collapse && same(known, &what)) {
                Some((ranks, known)) => {
                    ranks.push(rank);
                    join(known, what);
                }
                None => groups.push((vec![rank], what)),
            }
        }
        groups
    }
}

fn ranks_of(pieces: &[Piece]) -> Vec<Rank> {
    match pieces.first() {
        Some(Piece::Publish { ranks, .. } | Piece::Result { ranks, .. }) => ranks.clone(),
        _ => Vec::new(),
    }
}

impl Piece {
    /// Whether two ranks said the same, but for what is each rank's own: its execution count. What can be updated is
    /// each rank's own too.
    pub(super) fn same(&self, other: &Piece) -> bool {
        match (self, other) {
            (Piece::Result { content: a, .. }, Piece::Result { content: b, .. }) => a == b,
            (
                Piece::Publish { msg_type: a, content: of_a, buffers: with_a, .. },
                Piece::Publish { msg_type: b, content: of_b, buffers: with_b, .. },
            ) => a == b && of_a == of_b && with_a == with_b && display_id(of_a).is_none(),
            _ => false,
        }
    }

    /// Takes note that others said the same.
    pub(super) fn join(&mut self, other: Piece) {
        match (self, other) {
            (Piece::Publish { ranks, .. }, Piece::Publish { ranks: more, .. }) => ranks.extend(more),
            (Piece::Result { ranks, count, .. }, Piece::Result { ranks: more, count: other, .. }) => {
                ranks.extend(more);
                *count = count.filter(|count| Some(*count) == other);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::cluster::listed;

    /// `!text` is stderr, `*name` a display, `+name` one that is updated, `~` a clear, `=text` a result, else stdout.
    fn event(what: &str) -> Event {
        let publish = |msg_type: &str, content: &str| Event::Publish {
            msg_type: msg_type.to_owned(),
            content: Json::from(content.as_bytes().to_vec()),
            metadata: Json::from(b"{}".to_vec()),
            buffers: Vec::new(),
        };
        let addressed = |text: &str| format!(r#"{{"data":"{text}","transient":{{"display_id":"x"}}}}"#);
        match what.split_at(1) {
            ("!", text) => Event::Stream { name: StreamName::Stderr, text: text.to_owned() },
            ("=", text) => Event::Result { count: 1, content: Json::from(text.as_bytes().to_vec()) },
            ("*", text) => publish("display_data", &format!(r#""{text}""#)),
            ("@", text) => publish("display_data", &addressed(text)),
            ("+", text) => publish("update_display_data", &addressed(text)),
            ("~", wait) => publish("clear_output", &format!(r#"{{"wait":{}}}"#, wait == "w")),
            _ => Event::Stream { name: StreamName::Stdout, text: what.to_owned() },
        }
    }

    #[track_caller]
    fn check(group: GroupBy, collapse: bool, script: &[(Rank, &str)], expect: &str) {
        let mut gather = Gather::new(group, collapse);
        for (rank, what) in script {
            gather.on(*rank, &event(what), Instant::now());
        }
        let shown = gather.take().into_iter().map(|piece| match piece {
            Piece::Stream { name: StreamName::Stdout, text } => text.replace('\n', "~"),
            Piece::Stream { text, .. } => format!("!{}", text.replace('\n', "~")),
            Piece::Publish { ranks, content, .. } => {
                let content: Value = serde_json::from_slice(&content).unwrap();
                let text = content["data"].as_str().or(content.as_str()).unwrap().to_owned();
                format!("*{}:{text}", listed(&ranks))
            }
            Piece::Result { ranks, content, .. } => {
                format!("={}:{}", listed(&ranks), String::from_utf8_lossy(&content))
            }
            place => panic!("{place:?} is for output that is shown as it comes"),
        });
        assert_eq!(shown.collect::<Vec<_>>().join(" "), expect);
        assert!(gather.take().is_empty(), "what was shown is not kept");
    }

    const SCRIPT: &[(Rank, &str)] = &[
        (1, "b\n"),
        (0, "a\n"),
        (1, "*p1"),
        (0, "*p0"),
        (0, "!w0"),
        (0, "*q0"),
        (0, "=42"),
        (1, "=43"),
        (2, "=44"),
    ];

    #[test]
    fn outputs_are_grouped_as_asked() {
        check(
            GroupBy::Type,
            false,
            SCRIPT,
            "[stdout:0] a~[stdout:1] b~ ![stderr:0] w0~ *0:p0 *0:q0 *1:p1 =0:42 =1:43 =2:44",
        );
        check(
            GroupBy::Engine,
            false,
            SCRIPT,
            "[stdout:0] a~ ![stderr:0] w0~ *0:p0 *0:q0 =0:42 [stdout:1] b~ *1:p1 =1:43 =2:44",
        );
        // Engine 2 has no displays and engine 1 fewer than engine 0; nothing of either is lost.
        check(
            GroupBy::Order,
            false,
            SCRIPT,
            "[stdout:0] a~[stdout:1] b~ ![stderr:0] w0~ *0:p0 *1:p1 *0:q0 =0:42 =1:43 =2:44",
        );
    }

    #[test]
    fn what_is_alike_is_shown_once() {
        let script: &[(Rank, &str)] =
            &[(0, "a\n"), (1, "a\n"), (2, "b\n"), (0, "=1"), (1, "=2"), (2, "=1"), (0, "*p"), (1, "*p")];
        check(GroupBy::Type, true, script, "[stdout:0, 1] a~[stdout:2] b~ *0, 1:p =0, 2:1 =1:2");
    }

    #[test]
    fn displays_are_updated_in_place_and_cleared() {
        check(GroupBy::Type, false, &[(0, "@one"), (0, "*p"), (0, "+two"), (1, "@x")], "*0:two *0:p *1:x");
        check(
            GroupBy::Type,
            false,
            &[(0, "a\n"), (1, "b\n"), (0, "~"), (0, "c\n")],
            "[stdout:0] c~[stdout:1] b~",
        );
        check(GroupBy::Type, false, &[(0, "a\n"), (0, "~w")], "[stdout:0] a~");
        check(GroupBy::Type, false, &[(0, "a\n"), (0, "~w"), (0, "b\n")], "[stdout:0] b~");
    }

    #[test]
    fn a_line_that_was_rewritten_is_shown_as_it_was_last() {
        check(GroupBy::Type, false, &[(0, "1%\r"), (0, "2%\r"), (0, "3%\n")], "[stdout:0] 3%~");
    }
}
