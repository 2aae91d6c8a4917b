//! `%autopx`: run whole cells on the engines.

use super::{Call, Example, Magic, Usage};
use crate::options;
use crate::step::{AutopxSwitch, Step};
use crate::usage::UsageError;

pub(super) const MAGIC: Magic = Magic {
    name: "autopx",
    line: true,
    cell: false,
    suffixed: true,
    expand_line: false,
    summary: "Run whole cells on the engines, until it is switched off.",
    usages: &[Usage {
        form: "%autopx [on | off]",
        effect: "Switch: every cell, and the rest of this one, runs on all engines as if under `%%px`.",
    }],
    options: &[],
    notes: "\
While it is on, the parallel magics stay the kernel's where they stand in the first column. In the middle of
a cell `%autopx` cuts it: the lines before it run as before, the lines after it as from now.",
    examples: &[Example {
        cell: "%autopx\nimport os\nprint(os.getpid())\n%autopx",
        effect: "Two lines that run on every engine.",
    }],
    parse,
};

fn parse(call: &Call<'_>) -> Result<Step, UsageError> {
    let read = options::read("%autopx", MAGIC.options, call.line)?;
    let words: Vec<&str> = read.words.iter().map(String::as_str).collect();
    let switch = match words[..] {
        [] => AutopxSwitch::Toggle,
        ["on"] => AutopxSwitch::On,
        ["off"] => AutopxSwitch::Off,
        _ => {
            return Err(UsageError::Unrecognized {
                seen: words.join(" "),
                hint: "Write `%autopx` to switch, or `%autopx on`, `%autopx off`".to_owned(),
            });
        }
    };
    Ok(Step::Autopx { set: call.set.to_owned(), switch })
}

#[cfg(test)]
mod tests {
    use crate::{AutopxSwitch, Step, parse_call};

    #[test]
    fn it_switches_over_or_to_the_state_that_is_named() {
        for (line, switch) in
            [("", AutopxSwitch::Toggle), ("on", AutopxSwitch::On), (" off ", AutopxSwitch::Off)]
        {
            let set = String::new();
            assert_eq!(parse_call("autopx", line, None, &[]), Ok(Step::Autopx { set, switch }), "{line}");
        }
    }

    #[test]
    fn one_set_is_on_at_a_time() {
        for (switch, set, on, expect) in [
            (AutopxSwitch::Toggle, "", None, Some("")),
            (AutopxSwitch::Toggle, "", Some(""), None),
            (AutopxSwitch::Toggle, "", Some("_x"), None),
            (AutopxSwitch::Toggle, "_x", None, Some("_x")),
            (AutopxSwitch::Toggle, "_x", Some("_x"), None),
            (AutopxSwitch::Toggle, "_x", Some(""), Some("_x")),
            (AutopxSwitch::On, "_x", Some("_x"), Some("_x")),
            (AutopxSwitch::Off, "", Some("_x"), None),
        ] {
            assert_eq!(switch.apply(set, on).as_deref(), expect, "{switch:?} {set:?} {on:?}");
        }
    }

    #[test]
    fn anything_else_on_its_line_is_refused() {
        for (line, expect) in [
            ("f()", "unrecognized arguments: f(). Write `%autopx` to switch, or `%autopx on`, `%autopx off`"),
            ("-t 0", "unrecognized arguments: -t. `%autopx` takes no options"),
        ] {
            assert_eq!(parse_call("autopx", line, None, &[]).expect_err(line).to_string(), expect);
        }
        let error = parse_call("autopx", "", Some("f()"), &[]).expect_err("no cell magic");
        assert_eq!(
            error.to_string(),
            "`%%autopx` is a line magic, not a cell magic. Did you mean `%autopx` (single %)?"
        );
    }
}
