//! `%engines`: show, start, stop and restart the engines.

use super::{Call, Example, Magic, Usage};
use crate::options::{self, OptionSpec, valued};
use crate::step::{EnginesAction, Step};
use crate::targets::Targets;
use crate::usage::{UsageError, closest};

pub(super) const MAGIC: Magic = Magic {
    name: "engines",
    line: true,
    cell: false,
    suffixed: false,
    expand_line: true,
    summary: "Show, start, stop, restart or interrupt the engines.",
    usages: &[
        Usage { form: "%engines", effect: "Show a table of the engines: process, state, memory, what runs." },
        Usage { form: "%engines start [-n N]", effect: "Start N engines." },
        Usage { form: "%engines stop", effect: "Stop all engines; what they hold is gone." },
        Usage { form: "%engines restart [-n N]", effect: "Stop all engines and start N fresh ones." },
        Usage { form: "%engines interrupt [-t TARGETS]", effect: "Interrupt what runs with `--noblock`." },
    ],
    options: OPTIONS,
    notes: "Engines start by themselves; without `-n` there are as many as before.",
    examples: &[
        Example { cell: "%engines", effect: "Who is there and what they do." },
        Example { cell: "%engines interrupt -t 2", effect: "End what engine 2 runs, keep its variables." },
        Example { cell: "%engines restart -n 2", effect: "Go on with two fresh engines." },
    ],
    parse,
};

const OPTIONS: &[OptionSpec] = &[
    valued("n", Some('n'), "N", "4", "how many engines, for `start` and `restart`"),
    valued("targets", Some('t'), "TARGETS", "0:2", "which engines, for `interrupt`"),
];

const ACTIONS: [&str; 4] = ["start", "stop", "restart", "interrupt"];

fn parse(call: &Call<'_>) -> Result<Step, UsageError> {
    let read = options::read("%engines", OPTIONS, call.line)?;
    let (mut count, mut targets) = (None, None);
    for given in &read.given {
        match given.spec.long {
            "n" => count = Some(number(given.spec, &given.value)?),
            _ => {
                let wrong = |error: crate::TargetError| UsageError::BadValue {
                    option: given.spec.spellings(),
                    reason: error.to_string(),
                };
                targets = Some(given.value.parse::<Targets>().map_err(wrong)?);
            }
        }
    }
    let words: Vec<&str> = read.words.iter().map(String::as_str).collect();
    if let (["interrupt"], None) = (&words[..], count) {
        return Ok(Step::Engines(EnginesAction::Interrupt { targets }));
    }
    if targets.is_some() {
        let seen = format!("{} -t", words.join(" "));
        return Err(UsageError::Unrecognized { seen, hint: "`-t` is for `%engines interrupt`".to_owned() });
    }
    let action = match (&words[..], count) {
        ([], None) => EnginesAction::Show,
        (["start"], count) => EnginesAction::Start { count },
        (["stop"], None) => EnginesAction::Stop,
        (["restart"], count) => EnginesAction::Restart { count },
        (_, count) => return Err(misuse(&words, count)),
    };
    Ok(Step::Engines(action))
}

fn number(spec: &OptionSpec, value: &str) -> Result<u32, UsageError> {
    let reason = match value.parse::<u32>() {
        Ok(0) => "at least one engine; to have none, write `%engines stop`".to_owned(),
        Ok(count) => return Ok(count),
        Err(_) => format!("`{value}` is not a number of engines"),
    };
    Err(UsageError::BadValue { option: spec.spellings(), reason })
}

fn misuse(words: &[&str], count: Option<u32>) -> UsageError {
    let seen = match count {
        Some(count) => [words, &[&format!("-n {count}")]].concat().join(" "),
        None => words.join(" "),
    };
    let hint = match (words, count) {
        ([] | ["stop"], Some(count)) => {
            format!("To have {count} engines, write `%engines restart -n {count}`")
        }
        ([number], None) | (["start" | "restart", number], None) if number.parse::<u32>().is_ok() => {
            let action = if words.len() == 2 { words[0] } else { "restart" };
            format!("To have {number} engines, write `%engines {action} -n {number}`")
        }
        ([word, ..], _) if !ACTIONS.contains(word) => match closest(word, ACTIONS) {
            Some(action) => format!("Did you mean `%engines {action}`?"),
            None => usage(),
        },
        _ => usage(),
    };
    UsageError::Unrecognized { seen, hint }
}

fn usage() -> String {
    "Write `%engines`, or `%engines start`, `stop`, `restart` or `interrupt`".to_owned()
}

#[cfg(test)]
mod tests {
    use crate::{EnginesAction, Step, Targets, parse_call};

    #[test]
    fn actions_and_counts_are_read() {
        for (line, action) in [
            ("", EnginesAction::Show),
            ("start", EnginesAction::Start { count: None }),
            ("start -n 4", EnginesAction::Start { count: Some(4) }),
            ("-n4 start", EnginesAction::Start { count: Some(4) }),
            ("stop", EnginesAction::Stop),
            ("restart", EnginesAction::Restart { count: None }),
            ("restart --n=2", EnginesAction::Restart { count: Some(2) }),
            ("interrupt", EnginesAction::Interrupt { targets: None }),
            ("interrupt -t 2", EnginesAction::Interrupt { targets: Some(Targets::One(2)) }),
        ] {
            assert_eq!(parse_call("engines", line, None, &[]), Ok(Step::Engines(action)), "{line}");
        }
    }

    #[test]
    fn misuse_says_what_was_meant() {
        for (line, expect) in [
            ("4", "unrecognized arguments: 4. To have 4 engines, write `%engines restart -n 4`"),
            ("start 4", "unrecognized arguments: start 4. To have 4 engines, write `%engines start -n 4`"),
            ("-n 4", "unrecognized arguments: -n 4. To have 4 engines, write `%engines restart -n 4`"),
            (
                "stop -n 2",
                "unrecognized arguments: stop -n 2. To have 2 engines, write `%engines restart -n 2`",
            ),
            ("restrat", "unrecognized arguments: restrat. Did you mean `%engines restart`?"),
            (
                "status",
                "unrecognized arguments: status. Write `%engines`, or `%engines start`, `stop`, `restart` or `interrupt`",
            ),
            (
                "stop start",
                "unrecognized arguments: stop start. Write `%engines`, or `%engines start`, `stop`, `restart` or `interrupt`",
            ),
            ("start -n 0", "argument -n: at least one engine; to have none, write `%engines stop`"),
            ("start -n four", "argument -n: `four` is not a number of engines"),
            ("start -n -1", "argument -n: `-1` is not a number of engines"),
            ("start -n", "argument -n: expected one argument, such as `-n 4`"),
            ("start -x", "unrecognized arguments: -x. Options of `%engines`: -n, -t/--targets"),
        ] {
            assert_eq!(parse_call("engines", line, None, &[]).expect_err(line).to_string(), expect);
        }
    }
}
