//! A bar that says how many engines are done, and who still runs when those are few.
//!
//! **Invariant**: it is drawn where the engines take longer than they were given, and never redrawn more than ten
//! times a second; while nothing happens, ever more rarely.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use fabric::message::Rank;
use serde_json::{Value, json};

use crate::cluster::listed;

/// Engines that end together are drawn together.
const TOGETHER: Duration = Duration::from_millis(100);

/// How often the time is brought up to date, at first.
const TICK: Duration = Duration::from_secs(1);

/// How wide the bar is, in characters.
const WIDTH: usize = 20;

/// Names of ranks longer than this are a number.
const ROOM: usize = 40;

/// The bar of one task.
#[derive(Debug)]
pub(super) struct Progress {
    began: Instant,
    due: Instant,
    total: usize,
    running: BTreeSet<Rank>,
    drawn: bool,
    /// What engines show stands above it, and below it.
    above: bool,
    below: bool,
}

impl Progress {
    pub(super) fn new(targets: &[Rank], after: Duration, now: Instant) -> Option<Self> {
        let due = now.checked_add(after)?;
        let running = targets.iter().copied().collect();
        Some(Self {
            began: now,
            due,
            total: targets.len(),
            running,
            drawn: false,
            above: false,
            below: false,
        })
    }

    /// When it is to be drawn next.
    pub(super) fn deadline(&self) -> Instant {
        self.due
    }

    /// An engine is done, or lost.
    pub(super) fn ended(&mut self, rank: Rank, now: Instant) {
        if self.running.remove(&rank) && self.drawn {
            self.due = self.due.min(now + TOGETHER);
        }
    }

    /// Engines have shown something.
    pub(super) fn something_was_shown(&mut self) {
        *(if self.drawn { &mut self.below } else { &mut self.above }) = true;
    }

    /// What is to be shown now, if anything: the message's type and its content. In the end it goes where it would stand
    /// in the midst of what engines have shown.
    pub(super) fn draw(&mut self, now: Instant, over: bool, id: &str) -> Option<(&'static str, Value)> {
        if over && !self.drawn || !over && now < self.due {
            return None;
        }
        let elapsed = now.duration_since(self.began);
        self.due = now + TICK.max(elapsed / 20);
        let kind =
            if std::mem::replace(&mut self.drawn, true) { "update_display_data" } else { "display_data" };
        let data = if over && self.above && self.below {
            json!({})
        } else {
            json!({"text/plain": self.text(elapsed), "text/html": self.html(elapsed)})
        };
        Some((kind, json!({"data": data, "metadata": {}, "transient": {"display_id": id}})))
    }

    fn done(&self) -> usize {
        self.total - self.running.len()
    }

    fn text(&self, elapsed: Duration) -> String {
        let (done, total) = (self.done(), self.total);
        let filled = WIDTH * done / total.max(1);
        let bar = "█".repeat(filled) + &" ".repeat(WIDTH - filled);
        let percent = 100 * done / total.max(1);
        let mut text = format!("%px: {percent:3}%|{bar}| {done}/{total} [{}]", clock(elapsed));
        if let Some(who) = self.who() {
            let _ = write!(text, " {who}");
        }
        text
    }

    fn html(&self, elapsed: Duration) -> String {
        let (done, total) = (self.done(), self.total);
        let who = self.who().map_or_else(String::new, |who| format!("; {who}"));
        let what = format!("<code>%px</code> {done} of {total} engines done, {}{who}", clock(elapsed));
        format!("<div><progress max=\"{total}\" value=\"{done}\"></progress> {what}</div>")
    }

    /// "engines 1, 3 still run"
    fn who(&self) -> Option<String> {
        let running: Vec<Rank> = self.running.iter().copied().collect();
        let names = listed(&running);
        Some(match running.len() {
            0 => return None,
            1 => format!("engine {names} still runs"),
            many if names.len() > ROOM => format!("{many} engines still run"),
            _ => format!("engines {names} still run"),
        })
    }
}

/// "01:05", "2:00:00"
fn clock(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    match seconds / 3600 {
        0 => format!("{:02}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text((kind, content): (&str, Value)) -> String {
        format!("{kind} {}", content["data"]["text/plain"].as_str().unwrap_or_default())
    }

    #[test]
    fn it_is_drawn_when_it_takes_long_and_names_who_still_runs() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut progress = Progress::new(&[0, 1, 2, 3], Duration::from_secs(2), start).unwrap();
        progress.ended(0, at(1));
        assert!(progress.draw(at(1), false, "x").is_none(), "it is not time yet");
        assert_eq!(
            text(progress.draw(at(2), false, "x").unwrap()),
            "display_data %px:  25%|█████               | 1/4 [00:02] engines 1-3 still run"
        );
        progress.ended(2, at(65));
        progress.ended(3, at(65));
        assert_eq!(
            text(progress.draw(at(66), false, "x").unwrap()),
            "update_display_data %px:  75%|███████████████     | 3/4 [01:06] engine 1 still runs"
        );
        progress.ended(1, at(67));
        let last = text(progress.draw(at(67), true, "x").unwrap());
        assert_eq!(last, "update_display_data %px: 100%|████████████████████| 4/4 [01:07]");
    }

    #[test]
    fn a_short_task_shows_none() {
        let start = Instant::now();
        let mut progress = Progress::new(&[0], Duration::from_secs(2), start).unwrap();
        progress.ended(0, start);
        assert!(progress.draw(start, true, "x").is_none());
    }

    #[test]
    fn in_the_end_it_does_not_stand_between_results() {
        let start = Instant::now();
        for (before, after, stays) in [(false, true, true), (true, false, true), (true, true, false)] {
            let mut progress = Progress::new(&[0], Duration::ZERO, start).unwrap();
            (0..usize::from(before)).for_each(|_| progress.something_was_shown());
            progress.draw(start, false, "x").unwrap();
            (0..usize::from(after)).for_each(|_| progress.something_was_shown());
            let (_, content) = progress.draw(start, true, "x").unwrap();
            assert_eq!(content["data"].get("text/html").is_some(), stays, "{before} {after}");
        }
    }

    #[test]
    fn many_ranks_are_a_number() {
        let start = Instant::now();
        let targets: Vec<Rank> = (0..200).step_by(2).collect();
        let mut progress = Progress::new(&targets, Duration::ZERO, start).unwrap();
        assert!(text(progress.draw(start, false, "x").unwrap()).ends_with("100 engines still run"));
    }
}
