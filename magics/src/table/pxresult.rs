//! `%pxresult`: the last result again.

use super::execution as x;
use super::{Call, Example, Magic, Usage};
use crate::options::{self, OptionSpec};
use crate::step::Step;
use crate::usage::UsageError;

const SUMMARY: &str = "Show what the last `%px` or `%%px` has given.";

pub(super) const MAGIC: Magic = Magic {
    name: "pxresult",
    line: true,
    cell: false,
    suffixed: true,
    expand_line: true,
    summary: SUMMARY,
    usages: &[
        Usage {
            form: "%pxresult [OPTIONS]",
            effect: "Wait until it is done, then show all its output, grouped; raise if it failed.",
        },
        Usage {
            form: "%pxresult -o NAME",
            effect: "Keep it in a variable, as an `AsyncResult`, and show nothing.",
        },
    ],
    options: OPTIONS,
    notes: "\
By `type`: all standard output, all standard error, all displays, all results, each in the order of the
engines. By `engine`: everything of one engine, then of the next. By `order`: as `type`, but the first
display of each engine, then the second of each.",
    examples: &[
        Example {
            cell: "%%px --noblock\nimport os\nprint(os.getpid())",
            effect: "Start something and go on with other cells; …",
        },
        Example { cell: "%pxresult", effect: "… wait for it and see what it said." },
    ],
    parse,
};

pub(super) const ALIAS: Magic = Magic {
    name: "result",
    suffixed: false,
    usages: &[Usage { form: "%result [OPTIONS]", effect: "The old name of `%pxresult`." }],
    examples: &[],
    ..MAGIC
};

const OPTIONS: &[OptionSpec] = &[x::GROUP, x::BY_ENGINE, x::BY_ORDER, x::OUT, x::COLLAPSE, x::NO_COLLAPSE];

fn parse(call: &Call<'_>) -> Result<Step, UsageError> {
    let read = options::read("%pxresult", OPTIONS, call.line)?;
    let args = x::read_all("%pxresult", read)?;
    Ok(Step::Recall { set: call.set.to_owned(), display: args.display })
}

#[cfg(test)]
mod tests {
    use crate::{Display, GroupBy, Step, parse_call};

    #[test]
    fn it_takes_options_of_display() {
        for (line, group, out) in [
            ("", None, None),
            ("-e", Some(GroupBy::Engine), None),
            ("-r", Some(GroupBy::Order), None),
            ("-e -r", Some(GroupBy::Order), None),
            ("--group-outputs=type", Some(GroupBy::Type), None),
            ("--group engine", Some(GroupBy::Engine), None),
            ("-o ar", None, Some("ar")),
            ("--out ar", None, Some("ar")),
            ("-oar", None, Some("ar")),
        ] {
            for name in ["pxresult", "result"] {
                let display = Display { group, out: out.map(str::to_owned), collapse: None };
                let set = String::new();
                assert_eq!(parse_call(name, line, None, &[]), Ok(Step::Recall { set, display }), "{line}");
            }
        }
    }

    #[test]
    fn misuse_says_what_was_meant() {
        for (line, expect) in [
            (
                "--group-outputs bad",
                "argument --group-outputs: invalid choice: 'bad' (choose from 'engine', 'order', 'type')",
            ),
            (
                "--group-outputs engin",
                "argument --group-outputs: invalid choice: 'engin' (choose from 'engine', 'order', 'type'). \
                 Did you mean `engine`?",
            ),
            ("-o", "argument -o/--out: expected one argument, such as `--out ar`"),
            ("-o 1x", "argument -o/--out: `1x` is not the name of a variable"),
        ] {
            assert_eq!(parse_call("pxresult", line, None, &[]).expect_err(line).to_string(), expect);
        }
    }
}
