//! The options that the magics of execution share, and what their values mean.
//!
//! `%%px` takes all of them, `%pxconfig` those that can be set for all cells, `%pxresult` those of display.

use std::time::Duration;

use crate::config::{GroupBy, Patience, Signal};
use crate::options::{Given, OptionSpec, flag, valued};
use crate::step::PxArgs;
use crate::usage::{UsageError, closest};

pub(super) const BLOCK: OptionSpec =
    flag("block", Some('b'), "wait until the engines are done (the default)");
pub(super) const NOBLOCK: OptionSpec =
    flag("noblock", Some('a'), "do not wait: the cell's value is the `AsyncResult`");
pub(super) const TARGETS: OptionSpec = valued(
    "targets",
    Some('t'),
    "TARGETS",
    "0",
    "which engines: `0`, `0,2`, `1:3`, `::2`, `{variable}`, `all` (the default)",
);
pub(super) const STREAM: OptionSpec =
    flag("stream", None, "show output as it comes (the default; not with IPP_NONINTERACTIVE=1)");
pub(super) const NO_STREAM: OptionSpec =
    flag("no-stream", None, "show all output at once when the engines are done, grouped");
pub(super) const PROGRESS_AFTER: OptionSpec = valued(
    "progress-after",
    None,
    "SECONDS",
    "2",
    "show progress after so long; 0: at once, -1: never (default: 2)",
);
pub(super) const SIGNAL: OptionSpec = valued(
    "signal-on-interrupt",
    None,
    "SIGNAL",
    "SIGINT",
    "what an interrupt sends: a name or number, 0 for nothing (default: SIGINT)",
);
pub(super) const VERBOSE: OptionSpec = flag("verbose", None, "say on which engines the code runs");
pub(super) const NO_VERBOSE: OptionSpec = flag("no-verbose", None, "do not say it (the default)");
pub(super) const COLLAPSE: OptionSpec =
    flag("collapse", None, "show once what several engines say alike: `[stdout:0-63] hi`").added();
pub(super) const NO_COLLAPSE: OptionSpec =
    flag("no-collapse", None, "show every engine's output by itself (the default)").added();
pub(super) const TIMEOUT: OptionSpec = valued(
    "timeout",
    None,
    "SECONDS",
    "60",
    "interrupt after so long and say where each engine was (default: -1, never)",
)
.added();
pub(super) const GROUP: OptionSpec = valued(
    "group-outputs",
    None,
    "GROUPING",
    "engine",
    "show by `type` (the default), `engine` or `order` of making",
);
pub(super) const BY_ENGINE: OptionSpec = flag("e", Some('e'), "the same as `--group-outputs=engine`");
pub(super) const BY_ORDER: OptionSpec = flag("r", Some('r'), "the same as `--group-outputs=order`");
pub(super) const OUT: OptionSpec =
    valued("out", Some('o'), "NAME", "ar", "keep the `AsyncResult` in this variable of the notebook");
pub(super) const LOCAL: OptionSpec = flag("local", None, "run the cell in the notebook's own Python as well");
pub(super) const STATS: OptionSpec =
    flag("stats", None, "show time, memory and output of every engine").added();

/// Reads one option of `%%px` into `args`; the options of the other magics are among them.
pub(super) fn read(given: &Given, args: &mut PxArgs) -> Result<(), UsageError> {
    let Given { spec, value } = given;
    let PxArgs { config, display, local, stats } = args;
    match spec.long {
        "targets" => config.targets = Some(value.parse()?),
        "block" => config.block = Some(true),
        "noblock" => config.block = Some(false),
        "stream" => config.stream = Some(true),
        "no-stream" => config.stream = Some(false),
        "progress-after" => config.progress_after = Some(seconds(spec, value)?),
        "timeout" => config.timeout = Some(seconds(spec, value)?),
        "signal-on-interrupt" => config.signal = Some(Signal::read(value).map_err(|why| bad(spec, why))?),
        "verbose" => config.verbose = Some(true),
        "no-verbose" => config.verbose = Some(false),
        "collapse" => config.collapse = Some(true),
        "no-collapse" => config.collapse = Some(false),
        "group-outputs" => display.group = Some(group(spec, value)?),
        "e" => display.group = Some(GroupBy::Engine),
        "r" => display.group = Some(GroupBy::Order),
        "out" => display.out = Some(variable(spec, value)?),
        "local" => *local = true,
        "stats" => *stats = true,
        other => debug_assert!(false, "--{other} is in the table and not read"),
    }
    display.collapse = config.collapse;
    Ok(())
}

/// Reads all options of a magic that takes nothing else.
pub(super) fn read_all(magic: &str, read_line: crate::options::Line) -> Result<PxArgs, UsageError> {
    let mut args = PxArgs::default();
    for given in &read_line.given {
        read(given, &mut args)?;
    }
    match &read_line.words[..] {
        [] => Ok(args),
        words => Err(UsageError::Unrecognized {
            seen: words.join(" "),
            hint: format!("`{magic}?` shows the options of `{magic}`"),
        }),
    }
}

fn bad(spec: &OptionSpec, reason: String) -> UsageError {
    UsageError::BadValue { option: spec.spellings(), reason }
}

/// So many seconds; a negative number is never.
fn seconds(spec: &OptionSpec, value: &str) -> Result<Patience, UsageError> {
    let number = value.parse::<f64>().ok().filter(|number| !number.is_nan());
    let number = number
        .ok_or_else(|| bad(spec, format!("`{value}` is not a number of seconds, such as `2` or `0.5`")))?;
    if number < 0.0 {
        return Ok(Patience::Never);
    }
    Ok(Duration::try_from_secs_f64(number).map_or(Patience::Never, Patience::After))
}

fn group(spec: &OptionSpec, value: &str) -> Result<GroupBy, UsageError> {
    if let Some((_, group)) = GroupBy::NAMES.iter().find(|(name, _)| *name == value) {
        return Ok(*group);
    }
    let meant = closest(value, GroupBy::NAMES.map(|(name, _)| name));
    let meant = meant.map_or_else(String::new, |name| format!(". Did you mean `{name}`?"));
    Err(bad(spec, format!("invalid choice: '{value}' (choose from 'engine', 'order', 'type'){meant}")))
}

/// A name that Python can bind.
fn variable(spec: &OptionSpec, value: &str) -> Result<String, UsageError> {
    let begins = value.starts_with(|c: char| c.is_alphabetic() || c == '_');
    if begins && value.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return Ok(value.to_owned());
    }
    Err(bad(spec, format!("`{value}` is not the name of a variable")))
}
