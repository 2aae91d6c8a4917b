use super::*;

const OPTIONS: &[OptionSpec] = &[
    valued("targets", Some('t'), "TARGETS", "0", ""),
    flag("block", Some('b'), ""),
    flag("noblock", Some('a'), ""),
    flag("no-stream", None, ""),
    valued("progress-after", None, "SECONDS", "2", ""),
    flag("timeout", None, "").added(),
    flag("timings", None, "").added(),
];

/// `targets=0 block | word word`, or the error's text.
fn show(line: &str) -> String {
    match read("%%px", OPTIONS, line) {
        Err(error) => error.to_string(),
        Ok(line) => {
            let given = line.given.iter().map(|given| match given.spec.value {
                Value::Flag => given.spec.long.to_owned(),
                Value::One { .. } => format!("{}={}", given.spec.long, given.value),
            });
            let words = line.words.iter().map(|word| format!("| {word}"));
            given.chain(words).collect::<Vec<_>>().join(" ")
        }
    }
}

#[test]
fn options_are_read_as_argparse_reads_them() {
    for (line, expect) in [
        ("", ""),
        ("   ", ""),
        ("--targets 0", "targets=0"),
        ("--targets=0", "targets=0"),
        ("--target 0", "targets=0"),
        ("--t=0", "targets=0"),
        ("--t 0", "targets=0"),
        ("--timeo", "timeout"),
        ("-t 0", "targets=0"),
        ("-t0", "targets=0"),
        ("-t=0", "targets=0"),
        ("-t -1", "targets=-1"),
        ("-t-1", "targets=-1"),
        ("-t -2:", "targets=-2:"),
        ("--targets -2:", "targets=-2:"),
        ("-t ::2", "targets=::2"),
        ("-t :-1", "targets=:-1"),
        ("--progress-after -1", "progress-after=-1"),
        ("--progress-after -.5", "progress-after=-.5"),
        ("--prog 0", "progress-after=0"),
        ("-b -a", "block noblock"),
        ("-ba", "block noblock"),
        ("-bt0", "block targets=0"),
        ("-bt 0", "block targets=0"),
        ("--targets=", "targets="),
        ("-t 0 spare 1", "targets=0 | spare | 1"),
        ("-", "| -"),
    ] {
        assert_eq!(show(line), expect, "{line}");
    }
}

#[test]
fn quotes_brackets_and_commas_hold_a_value_together() {
    for (line, expect) in [
        ("-t [0, 2] -b", "targets=[0, 2] block"),
        ("--targets=[0, 2] -b", "targets=[0, 2] block"),
        ("-t(0, 2)", "targets=(0, 2)"),
        ("-t range(1, 4)", "targets=range(1, 4)"),
        ("-t '[0, 2]' -b", "targets=[0, 2] block"),
        ("-t \"0, 2\"", "targets=0, 2"),
        ("--targets='0, 2'", "targets=0, 2"),
        ("-t 0, 2 -b", "targets=0, 2 block"),
        ("-t 0, -1 -b", "targets=0, -1 block"),
        ("-t 0, -b", "targets=0, block"),
        ("-t ''", "targets="),
        ("-t [0 -b", "targets=[0 block"),
        ("-t 'é ü'", "targets=é ü"),
    ] {
        assert_eq!(show(line), expect, "{line}");
    }
}

#[test]
fn errors_say_what_was_seen_and_what_there_is() {
    let options = "Options of `%%px`: -t/--targets, -b/--block, -a/--noblock, --no-stream, --progress-after, --timeout, --timings";
    for (line, expect) in [
        ("--badopt", format!("unrecognized arguments: --badopt. {options}")),
        ("--tagrets 0", format!("unrecognized arguments: --tagrets. Did you mean `--targets`? {options}")),
        ("--tagrets=0", format!("unrecognized arguments: --tagrets=0. Did you mean `--targets`? {options}")),
        ("-targets 0", format!("unrecognized arguments: -targets. Did you mean `--targets`? {options}")),
        ("-x", format!("unrecognized arguments: -x. {options}")),
        ("--", format!("unrecognized arguments: --. {options}")),
        ("--no", "ambiguous option `--no` of `%%px`: it could be `--noblock` or `--no-stream`".to_owned()),
        ("--ti", "ambiguous option `--ti` of `%%px`: it could be `--timeout` or `--timings`".to_owned()),
        ("-t", "argument -t/--targets: expected one argument, such as `--targets 0`".to_owned()),
        ("-t -b", "argument -t/--targets: expected one argument, such as `--targets 0`".to_owned()),
        ("--block=1", "argument -b/--block: it takes no value, but `1` was given".to_owned()),
        ("-b=1", "argument -b/--block: it takes no value, but `1` was given".to_owned()),
        ("-t '0", "no closing quotation in `-t '0`".to_owned()),
    ] {
        assert_eq!(show(line), expect, "{line}");
    }
}
