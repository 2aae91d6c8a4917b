//! What is to be run and how: a cell's own options, its set's defaults and the built-in ones, put together.

use std::time::Duration;

use magics::{Config, Display, GroupBy, Px, PxArgs, Signal, Targets};

use super::sets::Sets;

/// When progress is shown where nobody said so.
const PROGRESS_AFTER: Duration = Duration::from_secs(2);

/// One parallel cell, with everything decided but which engines are there.
pub(super) struct Plan {
    pub(super) set: String,
    pub(super) code: String,
    pub(super) targets: Targets,
    pub(super) block: bool,
    /// Output is shown as it comes.
    pub(super) stream: bool,
    /// How output is grouped, where that was asked for.
    pub(super) group: Option<GroupBy>,
    pub(super) collapse: bool,
    pub(super) progress_after: Option<Duration>,
    pub(super) timeout: Option<Duration>,
    pub(super) signal: Signal,
    pub(super) verbose: bool,
    pub(super) out: Option<String>,
    pub(super) local: bool,
    pub(super) stats: bool,
    /// It is a cell of automatic parallel mode.
    pub(super) auto: bool,
}

impl Plan {
    /// `interactive` is false where nobody watches: then output is not streamed, and no progress shown.
    pub(super) fn of(px: Px, sets: &Sets, interactive: bool) -> Self {
        let Px { set, code, args, auto } = px;
        let Config { targets, block, stream, progress_after, signal, verbose, collapse, timeout } =
            args.config.over(&sets.defaults(&set));
        let progress = interactive.then_some(PROGRESS_AFTER);
        Plan {
            targets: targets.unwrap_or(Targets::All),
            block: block.unwrap_or(true),
            // With `--local` the notebook's own output comes first, and the engines' is shown when it is complete.
            stream: stream.unwrap_or(interactive) && !args.local,
            group: args.display.group,
            collapse: collapse.unwrap_or(false),
            progress_after: progress_after.map_or(progress, magics::Patience::duration),
            timeout: timeout.and_then(magics::Patience::duration),
            signal: signal.unwrap_or_else(|| Signal { number: 2, typed: "SIGINT".to_owned() }),
            verbose: verbose.unwrap_or(false),
            out: args.display.out,
            local: args.local,
            stats: args.stats,
            set,
            code,
            auto,
        }
    }

    /// What an engine does for a widget, whose output is shown as it comes whatever cells do with theirs.
    pub(super) fn of_callback(sets: &Sets) -> Self {
        let plan = Plan::of(Px::default(), sets, true);
        Plan {
            stream: true,
            block: true,
            group: None,
            collapse: false,
            progress_after: None,
            timeout: None,
            ..plan
        }
    }

    /// How a result that is there is shown again.
    pub(super) fn recall(display: Display, sets: &Sets, set: &str) -> Self {
        let config = Config { collapse: display.collapse, stream: Some(false), ..Config::default() };
        let args = PxArgs { config, display, ..PxArgs::default() };
        let mut plan = Plan::of(Px { set: set.to_owned(), args, ..Px::default() }, sets, false);
        (plan.progress_after, plan.timeout, plan.block) = (None, None, true);
        plan
    }

    /// The line of `--verbose`.
    pub(super) fn announcement(&self, ranks: &[u32]) -> String {
        let targets = match &self.targets {
            Targets::All => "all".to_owned(),
            Targets::One(_) => ranks.iter().map(u32::to_string).collect(),
            _ => format!("[{}]", shortened(ranks)),
        };
        let how = if self.block { "Parallel" } else { "Async parallel" };
        format!("{how} execution on engine(s): {targets}\n")
    }
}

/// The ranks; of more than ten the first and the last four.
fn shortened(ranks: &[u32]) -> String {
    let text = |ranks: &[u32]| ranks.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    match ranks {
        [first @ .., _, _, _, _] if ranks.len() > 10 => {
            format!("{}, ..., {}", text(&first[..4]), text(&ranks[ranks.len() - 4..]))
        }
        _ => text(ranks),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_announcement_names_the_targets() {
        let ranks: Vec<u32> = (0..12).collect();
        for (typed, block, ranks, expect) in [
            ("all", true, &ranks[..], "Parallel execution on engine(s): all\n"),
            ("::2", false, &[0, 2], "Async parallel execution on engine(s): [0, 2]\n"),
            ("-1", true, &[3], "Parallel execution on engine(s): 3\n"),
            ("0:12", true, &ranks, "Parallel execution on engine(s): [0, 1, 2, 3, ..., 8, 9, 10, 11]\n"),
        ] {
            let mut plan = Plan::of(Px::default(), &Sets::default(), true);
            (plan.targets, plan.block) = (typed.parse().unwrap(), block);
            assert_eq!(plan.announcement(ranks), expect);
        }
    }
}
