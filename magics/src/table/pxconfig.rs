//! `%pxconfig`: the defaults of the cells that follow.

use super::execution as x;
use super::{Call, Example, Magic, Usage};
use crate::options::{self, OptionSpec};
use crate::step::Step;
use crate::usage::UsageError;

pub(super) const MAGIC: Magic = Magic {
    name: "pxconfig",
    line: true,
    cell: false,
    suffixed: true,
    expand_line: true,
    summary: "Set the defaults of `%px`, `%%px` and `%autopx`.",
    usages: &[Usage {
        form: "%pxconfig [OPTIONS]",
        effect: "Set defaults for all cells that follow; `%%px` can differ for one cell.",
    }],
    options: OPTIONS,
    notes: "\
What is not named stays as it is. After `rc.activate(targets, '_x')` there are `%px_x`, `%%px_x`,
`%pxconfig_x`, `%pxresult_x` and `%autopx_x`, with targets, defaults and a last result of their own.",
    examples: &[
        Example {
            cell: "%pxconfig --targets 0,1 --verbose\n%px print('one of two')\n%pxconfig --targets all --no-verbose",
            effect: "Two engines for a while, and a line that says so.",
        },
        Example {
            cell: "%pxconfig --progress-after -1 --no-stream\n%px 6*7\n%pxconfig --progress-after 2 --stream",
            effect: "No progress bar, and all output at once.",
        },
    ],
    parse,
};

const OPTIONS: &[OptionSpec] = &[
    x::BLOCK,
    x::NOBLOCK,
    x::TARGETS,
    x::STREAM,
    x::NO_STREAM,
    x::PROGRESS_AFTER,
    x::SIGNAL,
    x::VERBOSE,
    x::NO_VERBOSE,
    x::COLLAPSE,
    x::NO_COLLAPSE,
    x::TIMEOUT,
];

fn parse(call: &Call<'_>) -> Result<Step, UsageError> {
    let read = options::read("%pxconfig", OPTIONS, call.line)?;
    let args = x::read_all("%pxconfig", read)?;
    Ok(Step::Config { set: call.set.to_owned(), config: args.config })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{Config, Patience, Step, parse_call};

    #[test]
    fn what_is_said_is_set_and_nothing_else() {
        for (line, expect) in [
            ("", Config::default()),
            ("--block", Config { block: Some(true), ..Config::default() }),
            ("-b -a", Config { block: Some(false), ..Config::default() }),
            ("--no-stream --stream", Config { stream: Some(true), ..Config::default() }),
            ("--verbose", Config { verbose: Some(true), ..Config::default() }),
            ("--no-v", Config { verbose: Some(false), ..Config::default() }),
            ("--progress-after=-1", Config { progress_after: Some(Patience::Never), ..Config::default() }),
            (
                "--prog .5",
                Config {
                    progress_after: Some(Patience::After(Duration::from_millis(500))),
                    ..Config::default()
                },
            ),
        ] {
            let set = String::new();
            assert_eq!(
                parse_call("pxconfig", line, None, &[]),
                Ok(Step::Config { set, config: expect }),
                "{line}"
            );
        }
    }

    #[test]
    fn it_takes_no_options_of_one_cell() {
        for line in ["--out x", "-e", "--local", "--group-outputs type", "--stats"] {
            let error = parse_call("pxconfig", line, None, &[]).expect_err(line).to_string();
            assert!(error.starts_with("unrecognized arguments: "), "{error}");
        }
        for (line, expect) in [
            (
                "--progress-after soon",
                "argument --progress-after: `soon` is not a number of seconds, such as `2` or `0.5`",
            ),
            (
                "--signal-on-interrupt STOPIT",
                "argument --signal-on-interrupt: no signal `STOPIT`: write `SIGINT`, `SIGTERM`, `SIGUSR1`, … or its number",
            ),
            ("0", "unrecognized arguments: 0. `%pxconfig?` shows the options of `%pxconfig`"),
        ] {
            assert_eq!(parse_call("pxconfig", line, None, &[]).expect_err(line).to_string(), expect);
        }
    }
}
