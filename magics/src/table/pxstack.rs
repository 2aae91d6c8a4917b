//! `%pxstack`: where every engine is.

use super::execution as x;
use super::{Call, Example, Magic, Usage};
use crate::options::{self, OptionSpec};
use crate::step::Step;
use crate::usage::UsageError;

pub(super) const MAGIC: Magic = Magic {
    name: "pxstack",
    line: true,
    cell: false,
    suffixed: false,
    expand_line: true,
    summary: "Show where every engine is: its Python stack now.",
    usages: &[Usage {
        form: "%pxstack [-t TARGETS]",
        effect: "Show each distinct stack once, with the engines that are there, in C code too.",
    }],
    options: OPTIONS,
    notes: "Use it while engines are busy: after `%%px --noblock`, or from a subshell.",
    examples: &[Example { cell: "%pxstack", effect: "Where everybody is." }],
    parse,
};

const OPTIONS: &[OptionSpec] = &[x::TARGETS];

fn parse(call: &Call<'_>) -> Result<Step, UsageError> {
    let read = options::read("%pxstack", OPTIONS, call.line)?;
    let args = x::read_all("%pxstack", read)?;
    Ok(Step::Stack { targets: args.config.targets })
}
