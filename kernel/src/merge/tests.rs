//! Injected reports and delays, and what a frontend then shows.

use std::time::{Duration, Instant};

use fabric::message::report::{Event, Outcome, StreamName};
use fabric::message::{Json, Rank};

use super::{Merge, Piece};
use crate::cluster::listed;

mod properties;

const DONE: &str = "<done>";
const LOST: &str = "<lost>";

/// One report: when, who, what. `!text` is stderr, `*name` a display, `=text` a result, [`DONE`] and
/// [`LOST`] an end, anything else stdout.
type Said<'a> = (u64, Rank, &'a str);

/// Plays the reports to a merge whose timer is kept, and gives each batch of pieces with its time.
fn play(ranks: Rank, script: &[Said<'_>]) -> Vec<(u64, Vec<Piece>)> {
    play_to(ranks, script, Merge::new)
}

fn play_to(
    ranks: Rank,
    script: &[Said<'_>],
    merge: impl FnOnce(&[Rank], Instant) -> Merge,
) -> Vec<(u64, Vec<Piece>)> {
    let start = Instant::now();
    let at = |millis: u64| start + Duration::from_millis(millis);
    let targets: Vec<Rank> = (0..ranks).collect();
    let mut merge = merge(&targets, start);
    let mut batches = Vec::new();
    let end = (script.last().map_or(0, |said| said.0) + 2000, None);
    let steps = script.iter().map(|(millis, rank, what)| (*millis, Some((*rank, *what)))).chain([end]);
    for (millis, said) in steps {
        while let Some(deadline) = merge.deadline().filter(|deadline| *deadline <= at(millis)) {
            let time = (deadline - start).as_millis();
            batches.push((u64::try_from(time).expect("small"), merge.tick(deadline)));
        }
        match said {
            Some((rank, LOST)) => batches.push((millis, merge.lost(rank, at(millis)))),
            Some((rank, what)) => batches.push((millis, merge.on(rank, &event(what), at(millis)))),
            None => assert_eq!(merge.deadline(), None, "nothing is held for ever"),
        }
    }
    let ended = |rank: &Rank| script.iter().any(|said| said.1 == *rank && [DONE, LOST].contains(&said.2));
    assert_eq!(merge.finished(), targets.iter().all(ended));
    batches.retain(|(_, pieces)| !pieces.is_empty());
    batches
}

fn event(what: &str) -> Event {
    if what == DONE {
        return Event::Done { outcome: Outcome::Ok, count: 1, started: 0.0, completed: 1.0 };
    }
    let json = |text: &str| Json::from(text.as_bytes().to_vec());
    match what.split_at_checked(1) {
        Some(("!", text)) => Event::Stream { name: StreamName::Stderr, text: text.to_owned() },
        Some(("=", text)) => Event::Result { count: 1, content: json(text) },
        Some(("*", text)) => Event::Publish {
            msg_type: text.split(' ').next().unwrap_or_default().to_owned(),
            content: json(text.split_once(' ').map_or("{}", |(_, content)| content)),
            metadata: json("{}"),
            buffers: Vec::new(),
        },
        _ => Event::Stream { name: StreamName::Stdout, text: what.to_owned() },
    }
}

/// `time: piece piece`, one line per batch; text of stderr after `!`, newlines as `~`, returns as `^`.
fn show(batches: &[(u64, Vec<Piece>)]) -> Vec<String> {
    let piece = |piece: &Piece| match piece {
        Piece::Stream { name, text } => {
            let text = text.replace('\n', "~").replace('\r', "^");
            format!("{}{text}", if *name == StreamName::Stderr { "!" } else { "" })
        }
        Piece::Publish { ranks, msg_type, .. } => format!("*{}:{msg_type}", listed(ranks)),
        Piece::Placed { rank, id, update, text } => {
            let text = text.replace('\n', "~");
            format!("{}{}:{text}", if *update { "<" } else { "+" }, place(*rank, id))
        }
        Piece::Emptied { rank, id, .. } => format!("-{}", place(*rank, id)),
        Piece::Label { rank, id } => format!("#{}", place(*rank, id)),
        Piece::Result { ranks, content, .. } => {
            format!("={}:{}", listed(ranks), String::from_utf8_lossy(content))
        }
    };
    let batch = |(time, pieces): &(u64, Vec<Piece>)| {
        format!("{time}: {}", pieces.iter().map(piece).collect::<Vec<_>>().join(" | "))
    };
    batches.iter().map(batch).collect()
}

/// `2/1` for the second place of rank 2, `2/a` for its display that is called a.
fn place(rank: Rank, id: &str) -> String {
    format!("{rank}/{}", id.rsplit('.').next().unwrap_or_default())
}

#[track_caller]
fn check(ranks: Rank, script: &[Said<'_>], expect: &[&str]) {
    assert_eq!(show(&play(ranks, script)), expect);
}

#[test]
fn a_short_cell_always_reads_in_the_order_of_the_ranks() {
    check(
        4,
        &[
            (1, 2, "hi\n"),
            (2, 2, DONE),
            (3, 0, "hi\n"),
            (4, 3, "hi"),
            (5, 3, DONE),
            (60, 0, DONE),
            (140, 1, "hi\n"),
            (145, 1, DONE),
        ],
        &["145: [stdout:0] hi~[stdout:1] hi~[stdout:2] hi~[stdout:3] hi~"],
    );
}

#[test]
fn a_slow_rank_holds_nobody_after_the_opening() {
    check(
        3,
        &[(1, 2, "hi\n"), (2, 1, "hi\n"), (3, 2, DONE), (4, 1, DONE), (1000, 0, "late\n"), (1001, 0, DONE)],
        &["150: [stdout:1] hi~[stdout:2] hi~", "1001: [stdout:0] late~"],
    );
}

#[test]
fn after_the_opening_ranks_that_speak_together_are_shown_together() {
    check(
        2,
        &[(1000, 1, "b\n"), (1030, 0, "a\n"), (1060, 1, "c\n"), (1500, 0, DONE), (1500, 1, DONE)],
        &["1050: [stdout:0] a~[stdout:1] b~", "1110: [stdout:1] c~"],
    );
}

#[test]
fn the_end_of_the_last_rank_waits_for_no_timer() {
    check(2, &[(1000, 0, "a\n"), (1001, 0, DONE), (1002, 1, DONE)], &["1002: [stdout:0] a~"]);
}

#[test]
fn a_block_of_several_lines_stands_below_its_label() {
    for (text, expect) in [
        ("a\n", "1: [stdout:0] a~"),
        ("a", "1: [stdout:0] a~"),
        ("a\nb\n", "1: [stdout:0] ~a~b~"),
        ("a\nb", "1: [stdout:0] ~a~b~"),
        ("\na\n", "1: [stdout:0] ~a~"),
        ("\n", "1: [stdout:0] ~"),
        ("a\n\n", "1: [stdout:0] ~a~~"),
        ("é🦀", "1: [stdout:0] é🦀~"),
    ] {
        check(1, &[(0, 0, text), (1, 0, DONE)], &[expect]);
    }
}

#[test]
fn a_block_of_several_lines_grows_until_something_else_comes() {
    check(
        2,
        &[
            (0, 0, "a\nb\n"),
            (200, 0, "c\n"),
            (300, 1, "x\n"),
            (400, 0, "d\n"),
            (500, 0, DONE),
            (501, 1, DONE),
        ],
        &["150: [stdout:0] ~a~b~", "250: c~", "350: [stdout:1] x~", "450: [stdout:0] d~"],
    );
}

#[test]
fn single_lines_keep_their_labels() {
    check(
        1,
        &[(0, 0, "a\n"), (300, 0, "b\n"), (600, 0, DONE)],
        &["150: [stdout:0] a~", "350: [stdout:0] b~"],
    );
}

#[test]
fn a_line_waits_for_its_newline() {
    check(
        2,
        &[(0, 0, "a"), (10, 1, "x\n"), (300, 0, "b"), (400, 0, "c\n"), (600, 0, DONE), (600, 1, DONE)],
        &["150: [stdout:1] x~", "450: [stdout:0] abc~"],
    );
    check(2, &[(0, 0, "a"), (10, 0, DONE), (600, 1, DONE)], &["150: [stdout:0] a", "600: ~"]);
}

#[test]
fn a_line_that_waited_long_goes_out_and_is_continued() {
    check(
        2,
        &[(0, 0, "a"), (600, 0, "b"), (700, 0, "c\nd\n"), (800, 0, DONE), (800, 1, DONE)],
        &["500: [stdout:0] a", "750: bc~d~"],
    );
    check(
        2,
        &[(0, 0, "a"), (600, 1, "x\n"), (700, 0, "b\n"), (800, 0, DONE), (800, 1, "y"), (801, 1, DONE)],
        &["500: [stdout:0] a", "650: ~[stdout:1] x~", "750: [stdout:0] b~", "801: [stdout:1] y~"],
    );
}

#[test]
fn lines_that_have_waited_about_as_long_stay_in_the_order_of_the_ranks() {
    check(
        2,
        &[(0, 1, "b"), (30, 0, "a"), (900, 0, DONE), (900, 1, DONE)],
        &["500: [stdout:0] a~[stdout:1] b", "900: ~"],
    );
}

#[test]
fn a_carriage_return_rewrites_the_line_it_stands_in() {
    for (texts, expect) in [
        (&["1%\r2%\r3%\n"][..], "9: [stdout:0] 3%~"),
        (&["\r1%", "\r2%", "\r3%"], "9: [stdout:0] 3%~"),
        (&["1%\r", "2%\r", "3%\r"], "9: [stdout:0] 3%~"),
        (&["100%\r5%"], "9: [stdout:0] 5%~"),
        (&["a\r", "\n"], "9: [stdout:0] a~"),
        (&["a\r\nb\r\n"], "9: [stdout:0] ~a~b~"),
        (&["a\r", "\r", "\r\r", "b"], "9: [stdout:0] b~"),
        (&["a\r", "\r"], "9: [stdout:0] a~"),
        (&["kept\n1%\r2%\nkept\n"], "9: [stdout:0] ~kept~2%~kept~"),
    ] {
        let mut script: Vec<Said<'_>> = texts.iter().map(|text| (1, 0, *text)).collect();
        script.push((9, 0, DONE));
        check(1, &script, &[expect]);
    }
}

#[test]
fn a_line_that_was_sent_is_rewritten_in_place_as_long_as_it_is_the_last() {
    check(
        1,
        &[
            (0, 0, "!\r 50%"),
            (600, 0, "!\r 75%"),
            (700, 0, "!\r 8%"),
            (1200, 0, "!\r100%\nbye\n"),
            (1300, 0, DONE),
        ],
        &["500: ![stderr:0]  50%", "1100: !^[stderr:0]  8% ", "1250: !^[stderr:0] 100%~bye~"],
    );
    check(
        2,
        &[
            (0, 0, "!\r1%"),
            (1, 1, "!\r2%"),
            (600, 0, "!\r3%"),
            (601, 1, "!\r4%"),
            (1200, 0, DONE),
            (1201, 1, DONE),
        ],
        &["500: +0/0:[stderr:0] 1% | +1/0:[stderr:1] 2%", "1100: <0/0:[stderr:0] 3% | <1/0:[stderr:1] 4%"],
    );
}

#[test]
fn a_bar_among_others_ends_with_its_line_and_the_next_one_has_a_place_of_its_own() {
    check(
        2,
        &[
            (0, 0, "!\r1%"),
            (510, 0, "!\r2%\nbetween\n\r7%"),
            (1100, 0, "!\r8%\n"),
            (1200, 0, DONE),
            (1201, 1, DONE),
        ],
        &[
            "500: +0/0:[stderr:0] 1%",
            "560: <0/0:[stderr:0] 2%~ | ![stderr:0] between~",
            "1010: +0/1:[stderr:0] 7%",
            "1150: <0/1:[stderr:0] 8%~",
        ],
    );
}

#[test]
fn a_rank_that_clears_has_its_own_output_replaced_and_nobody_elses() {
    let wait = "*clear_output {\"wait\": true}";
    check(
        2,
        &[
            (0, 0, "a\n"),
            (1, 1, "b\n"),
            (200, 0, "*clear_output"),
            (210, 0, "c\n"),
            (300, 0, wait),
            (310, 0, "d\n"),
            (400, 0, "*clear_output"),
            (500, 0, DONE),
            (501, 1, DONE),
        ],
        &[
            "150: [stdout:0] a~[stdout:1] b~",
            "250: +0/0:[stdout:0] c~",
            "350: <0/0:[stdout:0] d~",
            "450: -0/0",
        ],
    );
    check(
        2,
        &[(0, 0, "a\n"), (1, 0, "*clear_output"), (2, 0, "b\n"), (3, 1, "c\n"), (4, 0, DONE), (5, 1, DONE)],
        &["5: +0/0:[stdout:0] b~ | [stdout:1] c~"],
    );
    check(
        1,
        &[(0, 0, "a\n"), (200, 0, "*clear_output"), (201, 0, "b\n"), (202, 0, DONE)],
        &["150: [stdout:0] a~", "202: *0:clear_output | [stdout:0] b~"],
    );
}

#[test]
fn displays_of_a_rank_that_clears_are_emptied_and_filled_again() {
    let named = "*display_data {\"transient\": {\"display_id\": \"a\"}}";
    check(
        2,
        &[
            (0, 0, "*display_data"),
            (1, 0, named),
            (2, 1, "*display_data"),
            (200, 0, "*clear_output"),
            (300, 0, "*display_data"),
            (310, 0, "*display_data"),
            (400, 0, DONE),
            (401, 1, DONE),
        ],
        &[
            "150: *0:display_data | *0:display_data | *1:display_data",
            "250: -0/0 | -0/a",
            "350: #0/0 | *0:update_display_data | *0:display_data",
        ],
    );
}

#[test]
fn displays_stand_in_the_order_of_the_ranks_as_far_as_a_second_allows() {
    check(
        2,
        &[
            (0, 1, "*display_data"),
            (1, 1, "behind\n"),
            (400, 0, "*display_data"),
            (3000, 0, DONE),
            (3000, 1, DONE),
        ],
        &["450: *0:display_data | *1:display_data | [stdout:1] behind~"],
    );
    check(2, &[(0, 1, "*display_data"), (3000, 0, DONE), (3000, 1, DONE)], &["1000: *1:display_data"]);
    check(2, &[(0, 1, "*display_data"), (300, 0, DONE), (3000, 1, DONE)], &["350: *1:display_data"]);
}

#[test]
fn a_rewritten_line_without_a_label_gets_none() {
    check(
        1,
        &[(0, 0, "a\nb\n1%"), (600, 0, "\r2%"), (1200, 0, DONE)],
        &["150: [stdout:0] ~a~b~", "500: 1%", "1100: ^2%", "1200: ~"],
    );
}

#[track_caller]
fn check_collapsed(ranks: Rank, script: &[Said<'_>], expect: &[&str]) {
    assert_eq!(show(&play_to(ranks, script, Merge::collapsed)), expect);
}

#[test]
fn what_is_said_alike_is_said_once() {
    let script: Vec<Said<'_>> = (0..64).flat_map(|rank| [(0, rank, "hi\n"), (1, rank, DONE)]).collect();
    check_collapsed(64, &script, &["1: [stdout:0-63] hi~"]);
    check_collapsed(
        3,
        &[(0, 0, "a\nx\n"), (0, 1, "a\ny\n"), (0, 2, "a\nx\n"), (1, 0, DONE), (1, 1, DONE), (1, 2, DONE)],
        &["1: [stdout:0-2] a~[stdout:0, 2] x~[stdout:1] y~"],
    );
    check_collapsed(
        2,
        &[(0, 0, "=1"), (0, 1, "=1"), (0, 0, "*p"), (0, 1, "*q"), (1, 0, DONE), (1, 1, DONE)],
        &["1: =0, 1:1 | *0:p | *1:q"],
    );
}

#[test]
fn lines_of_two_groups_are_two_blocks() {
    check_collapsed(
        2,
        &[(0, 0, "a\nb\n"), (0, 1, "c\nd\n"), (1, 0, DONE), (1, 1, DONE)],
        &["1: [stdout:0] ~a~b~[stdout:1] ~c~d~"],
    );
}

#[test]
fn a_line_waits_for_the_same_line_of_the_others_but_not_for_ever() {
    check_collapsed(
        2,
        &[
            (200, 0, "1\n"),
            (400, 1, "1\n"),
            (500, 0, "2\n"),
            (2000, 1, "2\n"),
            (2100, 0, DONE),
            (2100, 1, DONE),
        ],
        &["450: [stdout:0, 1] 1~", "1050: [stdout:0] 2~", "2100: [stdout:1] 2~"],
    );
    // Who is done is not waited for.
    check_collapsed(2, &[(0, 1, DONE), (200, 0, "1\n"), (900, 0, DONE)], &["250: [stdout:0] 1~"]);
}

#[test]
fn a_ranks_streams_displays_and_results_keep_their_order() {
    check(
        2,
        &[
            (0, 1, "one\n"),
            (1, 1, "*display_data"),
            (2, 1, "two"),
            (3, 1, "!warn\n"),
            (4, 1, "three\n"),
            (5, 1, "=42"),
            (6, 0, "!zero\n"),
            (7, 0, "=41"),
            (8, 1, DONE),
            (9, 0, DONE),
        ],
        &["9: ![stderr:0] zero~ | =0:41 | [stdout:1] one~ | *1:display_data | [stdout:1] two~ \
           | ![stderr:1] warn~ | [stdout:1] three~ | =1:42"],
    );
}

#[test]
fn an_unfinished_line_is_ended_on_its_own_stream() {
    check(
        2,
        &[(0, 0, "a"), (600, 0, "!w\n"), (700, 1, "*display_data"), (900, 0, DONE), (900, 1, DONE)],
        &["500: [stdout:0] a", "650: ~ | ![stderr:0] w~", "900: *1:display_data"],
    );
}

#[test]
fn a_single_target_keeps_its_label() {
    check(1, &[(0, 0, "hi\n"), (1, 0, DONE)], &["1: [stdout:0] hi~"]);
}

#[test]
fn a_rank_that_died_is_done_and_what_it_said_is_shown() {
    check(2, &[(0, 1, "a"), (1, 1, LOST), (2, 0, "b\n"), (3, 0, DONE)], &["3: [stdout:0] b~[stdout:1] a~"]);
    check(2, &[(0, 1, "a"), (1, 1, LOST), (900, 0, LOST), (901, 0, LOST)], &["150: [stdout:1] a", "900: ~"]);
    check(1, &[(0, 0, LOST)], &[]);
}

#[test]
fn late_output_is_shown_under_its_rank() {
    check(
        2,
        &[
            (0, 0, "a\n"),
            (1, 0, DONE),
            (400, 0, "late"),
            (500, 1, DONE),
            (600, 0, "later\n"),
            (700, 9, "odd\n"),
        ],
        &[
            "150: [stdout:0] a~",
            "450: [stdout:0] late",
            "500: ~",
            "600: [stdout:0] later~",
            "700: [stdout:9] odd~",
        ],
    );
}

#[test]
fn a_second_end_counts_once() {
    check(2, &[(0, 0, DONE), (1, 0, DONE), (2, 0, LOST), (3, 1, "a\n"), (4, 1, DONE)], &["4: [stdout:1] a~"]);
}

#[test]
fn what_is_too_much_to_hold_goes_out_early_and_in_pieces() {
    let line = format!("{}\n", "é".repeat(1000));
    let lines = line.repeat(3000);
    let batches = play(2, &[(0, 0, &lines), (1, 1, "x\n"), (2, 0, DONE), (3, 1, DONE)]);
    assert_eq!(batches.iter().map(|batch| batch.0).collect::<Vec<_>>(), [0, 3]);
    let text: String = batches.iter().flat_map(|batch| &batch.1).map(text_of).collect();
    assert_eq!(text, format!("[stdout:0] \n{lines}[stdout:1] x\n"));
    assert!(batches[0].1.iter().all(|piece| text_of(piece).len() <= super::MOST_TOGETHER));
}

#[test]
fn a_line_too_long_to_wait_goes_out_with_the_next_flush() {
    let long = "x".repeat(100_000);
    let batches = play(2, &[(200, 0, &long), (900, 0, DONE), (900, 1, DONE)]);
    assert_eq!(batches.iter().map(|batch| batch.0).collect::<Vec<_>>(), [250, 900]);
}

#[test]
fn the_bytes_on_the_wire_are_those_that_were_written() {
    let mut script = Vec::new();
    let line = format!("{}\n", "x".repeat(79));
    for number in 0..1000 {
        script.extend((0..4).map(|rank| (number, rank, line.as_str())));
    }
    script.extend((0..4).map(|rank| (1001, rank, DONE)));
    let batches = play(4, &script);
    let sent: usize = batches.iter().flat_map(|batch| &batch.1).map(|piece| text_of(piece).len()).sum();
    let written = 4 * 1000 * line.len();
    assert!(sent >= written && sent < written + written / 50, "{sent} of {written}");
    assert!(batches.len() <= 20, "{} flushes in a second", batches.len());
}

fn text_of(piece: &Piece) -> &str {
    match piece {
        Piece::Stream { text, .. } => text,
        _ => "",
    }
}
