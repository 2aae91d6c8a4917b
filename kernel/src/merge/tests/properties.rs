//! Whatever the reports and their times, everything is shown, in order, under its rank.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Texts of one rank with the time before each.
type Spoken = Vec<(u64, String)>;

/// Whole lines in a few chunks each, never pausing long inside a line.
fn lines() -> impl Strategy<Value = Spoken> {
    let line = ("[a-zé🦀]{1,12}", 0..400_u64, 0..40_u64, any::<prop::sample::Index>());
    vec(line, 0..12).prop_map(|lines| {
        let chunks = lines.into_iter().flat_map(|(mut line, pause, pause_inside, cut)| {
            line.push('\n');
            let places: Vec<usize> = line.char_indices().map(|(at, _)| at).collect();
            let rest = line.split_off(places[cut.index(places.len())]);
            [(pause, line), (pause_inside, rest)]
        });
        chunks.collect()
    })
}

/// Any text at any time.
fn anything() -> impl Strategy<Value = Spoken> {
    vec((0..800_u64, "[ab\r\né]{1,6}|\\*display_data|![xy\r\n]{0,4}|=1"), 0..12)
}

/// The reports of all ranks in the order of their times; each rank ends with the last of its own.
fn script(ranks: &[Spoken]) -> Vec<(u64, Rank, String)> {
    let mut all = Vec::new();
    for (rank, spoken) in (0..).zip(ranks) {
        let mut time = 0;
        for (pause, text) in spoken {
            time += pause;
            all.push((time, rank, text.clone()));
        }
        all.push((time, rank, DONE.to_owned()));
    }
    all.sort_by_key(|said| said.0);
    all
}

fn pieces(ranks: &[Spoken]) -> Vec<Piece> {
    let script = script(ranks);
    let script: Vec<Said<'_>> =
        script.iter().map(|(time, rank, text)| (*time, *rank, text.as_str())).collect();
    let count = Rank::try_from(ranks.len()).expect("few");
    play(count, &script).into_iter().flat_map(|batch| batch.1).collect()
}

/// The lines of a stream as a terminal shows them, each with the rank of the label above it.
fn attributed(shown: &str) -> Vec<(Rank, String)> {
    let mut rank = None;
    let mut lines = Vec::new();
    for line in shown.lines() {
        let line = line.rsplit('\r').next().unwrap_or_default();
        let labelled = line.strip_prefix("[stdout:").and_then(|rest| rest.split_once("] "));
        let text = labelled.map_or(line, |(number, text)| {
            rank = Some(number.parse().expect("a rank"));
            text
        });
        if !text.trim_end().is_empty() {
            lines.push((rank.expect("a label stands above all text"), text.trim_end().to_owned()));
        }
    }
    lines
}

fn stdout(pieces: &[Piece]) -> String {
    let of_stdout = |piece: &&Piece| matches!(piece, Piece::Stream { name: StreamName::Stdout, .. });
    pieces.iter().filter(of_stdout).map(text_of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn every_line_arrives_whole_in_order_and_under_its_rank(ranks in vec(lines(), 1..5)) {
        let shown = attributed(&stdout(&pieces(&ranks)));
        for (rank, spoken) in (0..).zip(&ranks) {
            let written: String = spoken.iter().map(|(_, text)| text.as_str()).collect();
            let seen: Vec<&str> = shown.iter().filter(|line| line.0 == rank).map(|line| line.1.as_str()).collect();
            prop_assert_eq!(seen, written.lines().collect::<Vec<_>>());
        }
    }

    #[test]
    fn every_character_arrives_whatever_the_pauses(ranks in vec(vec((0..800_u64, "[abé\n]{1,6}"), 0..12), 1..5)) {
        let shown = attributed(&stdout(&pieces(&ranks)));
        for (rank, spoken) in (0..).zip(&ranks) {
            let written: String = spoken.iter().map(|(_, text)| text.replace('\n', "")).collect();
            let seen: String = shown.iter().filter(|line| line.0 == rank).map(|line| line.1.as_str()).collect();
            prop_assert_eq!(seen, written);
        }
    }

    #[test]
    fn whatever_comes_bytes_are_linear_and_displays_keep_their_order(ranks in vec(anything(), 1..5)) {
        let pieces = pieces(&ranks);
        // A label stands before each line, and once more where a report continues one that had to go out.
        let reports: usize = ranks.iter().map(Vec::len).sum();
        let lines: usize = ranks.iter().flatten().map(|(_, text)| text.matches('\n').count()).sum();
        let written: usize = ranks.iter().flatten().map(|(_, text)| text.len()).sum();
        let sent: usize = pieces.iter().map(|piece| text_of(piece).len()).sum();
        let labels = (reports + lines) * "\n[stdout:0] \n".len();
        prop_assert!(sent <= 2 * written + labels, "{sent} of {written}");
        for (rank, spoken) in (0..).zip(&ranks) {
            let other = |text: &str| text.starts_with('*') || text.starts_with('=');
            let written = spoken.iter().filter(|(_, text)| other(text)).count();
            let shown = pieces.iter().filter(|piece| match piece {
                Piece::Publish { ranks, .. } | Piece::Result { ranks, .. } => *ranks == [rank],
                _ => false,
            });
            prop_assert_eq!(shown.count(), written);
        }
    }
}
