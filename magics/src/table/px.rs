//! `%px` and `%%px`: run code on the engines.

use super::execution as x;
use super::{Call, Example, Magic, Usage};
use crate::options::{self, OptionSpec};
use crate::step::{Px, PxArgs, Step};
use crate::usage::UsageError;

pub(super) const MAGIC: Magic = Magic {
    name: "px",
    line: true,
    cell: true,
    suffixed: true,
    expand_line: false,
    summary: "Run code on the engines.",
    usages: &[
        Usage {
            form: "%px CODE",
            effect: "Run one line on all engines; everything after `%px ` is code, options too.",
        },
        Usage {
            form: "%%px [OPTIONS]",
            effect: "Run the lines below it on the engines, or on some of them.",
        },
    ],
    options: OPTIONS,
    notes: "\
Engines are numbered like the ranks of `MPI.COMM_WORLD`. TARGETS is an engine (`0`, `-1`), several
(`0,2`, `[0, 2]`), a slice of the engines (`::2`, `1:`), `range(2)` or `all`; `{name}` and `$name` on
the line of `%%px` are the notebook's variables. Code is whatever a cell can hold: IPython's magics,
`!command`, `await`. Output is shown in the order of the engines, each block under its engine's name;
the value of a last expression is shown as `Out[engine:count]`.",
    examples: &[
        Example { cell: "%px print('hi')", effect: "Every engine says hi." },
        Example {
            cell: "%%px --targets ::2\nimport os\nos.getpid()",
            effect: "Every second engine's process id.",
        },
        Example {
            cell: "%%px\nfrom mpi4py import MPI\nMPI.COMM_WORLD.allreduce(MPI.COMM_WORLD.rank)",
            effect: "The sum of all ranks, on every rank.",
        },
        Example {
            cell: "%%px --collapse\nimport sys\nprint(sys.version_info[:2])",
            effect: "One line for all engines that say the same.",
        },
        Example {
            cell: "%%px --noblock -o ar\nimport time\ntime.sleep(0.1)\n'done'",
            effect: "The cell ends at once; `ar.get()` or `%pxresult` waits for the engines.",
        },
        Example {
            cell: "%%px --stats\nsum(i * i for i in range(100_000))",
            effect: "Who needed how much time and memory.",
        },
    ],
    parse,
};

const OPTIONS: &[OptionSpec] = &[
    x::TARGETS,
    x::BLOCK,
    x::NOBLOCK,
    x::OUT,
    x::LOCAL,
    x::STREAM,
    x::NO_STREAM,
    x::GROUP,
    x::BY_ENGINE,
    x::BY_ORDER,
    x::COLLAPSE,
    x::NO_COLLAPSE,
    x::PROGRESS_AFTER,
    x::TIMEOUT,
    x::SIGNAL,
    x::STATS,
    x::VERBOSE,
    x::NO_VERBOSE,
];

fn parse(call: &Call<'_>) -> Result<Step, UsageError> {
    let set = call.set.to_owned();
    let (code, args) = match call.cell {
        None => (line(call.line)?, PxArgs::default()),
        Some(body) => (cell(body)?, args(call.line)?),
    };
    Ok(Step::Px(Px { set, code, args, auto: false }))
}

/// Whether the notebook's own Python has to carry out a cell with this option line: because variables stand in it, or
/// because it is to run the cell too.
pub(crate) fn needs_local(line: &str) -> bool {
    line.contains(['{', '$'])
        || options::read("%%px", OPTIONS, line)
            .is_ok_and(|read| read.given.iter().any(|given| given.spec.long == x::LOCAL.long))
}

fn line(code: &str) -> Result<String, UsageError> {
    if let Some(option) = misplaced_option(code) {
        return Err(UsageError::Unrecognized {
            seen: option.to_owned(),
            hint: "`%px` takes no options, everything after it is code. \
                   Write `%%px` with the options, and the code on the lines below"
                .to_owned(),
        });
    }
    Ok(code.to_owned())
}

fn cell(body: &str) -> Result<String, UsageError> {
    if body.trim().is_empty() {
        return Err(UsageError::EmptyBody { name: MAGIC.name });
    }
    Ok(body.to_owned())
}

fn args(line: &str) -> Result<PxArgs, UsageError> {
    let read = options::read("%%px", OPTIONS, line)?;
    if !read.words.is_empty() {
        return Err(spare_words(line, &read.words));
    }
    x::read_all("%%px", read)
}

/// Words that are no options are targets without their option, or code on the wrong line.
fn spare_words(line: &str, words: &[String]) -> UsageError {
    let seen = words.join(" ");
    let hint = if seen.parse::<crate::Targets>().is_ok() {
        format!("To choose engines, write `%%px --targets {seen}`")
    } else if line.starts_with('-') {
        options::options("%%px", OPTIONS)
    } else {
        format!(
            "The line of `%%px` holds options, its code stands on the lines below. \
             For one line of code, write `%px {line}`"
        )
    };
    UsageError::Unrecognized { seen, hint }
}

/// The option that `%px -t 0 f()` begins with. Only what Python could never read counts: an option
/// and then, with nothing between them, a name, a number or a string.
fn misplaced_option(code: &str) -> Option<&str> {
    let (word, rest) = code.split_once(char::is_whitespace)?;
    let rest = rest.trim_start();
    let known = |spec: &OptionSpec| {
        let long = word
            .strip_prefix("--")
            .is_some_and(|name| spec.long == name.split('=').next().unwrap_or(name) && !name.contains("=="));
        long || spec.short.is_some_and(|short| word.strip_prefix('-') == Some(short.encode_utf8(&mut [0; 4])))
    };
    let begins_operand = rest.starts_with(|c: char| c.is_alphanumeric() || "_'\"".contains(c));
    let first_name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
    let operator = ["if", "in", "is", "and", "or", "not", "for"].contains(&first_name);
    (OPTIONS.iter().any(known) && begins_operand && !operator).then_some(word)
}

#[cfg(test)]
mod tests {
    use crate::{Step, parse_call};

    /// `targets block code`, or the error's text.
    fn show(line: &str, cell: Option<&str>) -> String {
        match parse_call("px", line, cell, &[]) {
            Ok(Step::Px(px)) => {
                let targets =
                    px.args.config.targets.map_or_else(|| "-".to_owned(), |targets| targets.to_string());
                let block = match px.args.config.block {
                    None => "-",
                    Some(true) => "block",
                    Some(false) => "noblock",
                };
                format!("{targets} {block} {:?}", px.code)
            }
            Ok(step) => format!("{step:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn everything_after_px_is_code() {
        for code in [
            "print('hi')",
            "",
            "x = {1: '$y'}",
            "-1",
            "-t",
            "-t if t else 0",
            "--targets == 0",
            "-a + b",
            "-b [0]",
            "!ls -t x",
            "--block",
        ] {
            assert_eq!(show(code, None), format!("- - {code:?}"));
        }
    }

    #[test]
    fn options_on_px_are_sent_to_the_cell_magic() {
        for (line, option) in [
            ("-t 0 f()", "-t"),
            ("--targets 0 f()", "--targets"),
            ("--targets=0 f()", "--targets=0"),
            ("--noblock f()", "--noblock"),
            ("-a 'x'", "-a"),
        ] {
            let expect = format!(
                "unrecognized arguments: {option}. `%px` takes no options, everything after it is code. \
                 Write `%%px` with the options, and the code on the lines below"
            );
            assert_eq!(show(line, None), expect);
        }
    }

    #[test]
    fn the_line_of_the_cell_magic_holds_options() {
        for (line, expect) in [
            ("", "- -"),
            ("-t 0", "0 -"),
            ("--targets=[0, 2] -b", "[0, 2] block"),
            ("-t ::2 --noblock", "::2 noblock"),
            ("-a -b", "- block"),
            ("-b -a", "- noblock"),
            ("-t 0 -t 1", "1 -"),
            ("-t all", "all -"),
            ("-t \"'all'\"", "all -"),
        ] {
            assert_eq!(show(line, Some("f()\n")), format!("{expect} \"f()\\n\""), "{line}");
        }
    }

    #[test]
    fn misuse_of_the_cell_magic_says_what_was_meant() {
        let body = Some("f()\n");
        let options = crate::options::options("%%px", super::OPTIONS);
        for (line, cell, expect) in [
            ("", Some(" \n"), "%%px is a cell magic, but the cell body is empty. Did you mean the line magic %px (single %)?".to_owned()),
            ("--badopt", body, format!("unrecognized arguments: --badopt. {options}")),
            ("0", body, "unrecognized arguments: 0. To choose engines, write `%%px --targets 0`".to_owned()),
            ("-b x", body, format!("unrecognized arguments: x. {options}")),
            ("f(x)", body, "unrecognized arguments: f(x). The line of `%%px` holds options, its code stands on the lines below. For one line of code, write `%px f(x)`".to_owned()),
            ("-t", body, "argument -t/--targets: expected one argument, such as `--targets 0`".to_owned()),
            ("-t small", body, "argument -t/--targets: cannot read targets `small`: names are not looked up, write the ids themselves. Write an engine (`0`, `-1`), several (`0,2`, `[0, 2]`), a slice (`::2`, `1:`), `range(2)` or `all`".to_owned()),
        ] {
            assert_eq!(show(line, cell), expect);
        }
    }
}
