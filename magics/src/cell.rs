//! A whole cell, turned into steps or left to the local shell.
//!
//! The kernel takes a cell for itself when all of it is parallel. Everything else, such as a `%px`
//! between lines of Python, is the local shell's: it calls the same magics through
//! [`crate::parse_call`], each where Python gets to it.
//!
//! `%autopx` cuts a cell: what stands before it runs where cells ran before, what stands after it
//! where they run from then on.

use std::borrow::Cow;

use crate::lines::{Line, logical_lines, may_hold_magic};
use crate::step::{Px, Step};
use crate::table::{self, Call};
use crate::usage::UsageError;

/// What is to become of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// It is the local shell's, as it was typed.
    Local,
    /// It is the kernel's: these steps, in order.
    Parallel(Vec<Step>),
}

/// The state of the session that decides what a cell means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mode<'a> {
    /// The suffix of the set that runs whole cells, while `%autopx` is on.
    pub autopx: Option<&'a str>,
    /// The suffixes of the sets that were activated.
    pub suffixes: &'a [String],
}

/// Reads a cell as it was typed.
#[must_use]
pub fn parse(code: &str, mode: Mode<'_>) -> Cell {
    let cell = cleaned(code);
    if cell.starts_with("%%") {
        return match (cell_magic(&cell, mode), mode.autopx) {
            (Found::Ours(step), _) => Cell::Parallel(vec![step]),
            // It gets to the same magic by way of IPython, which puts the variables in.
            (Found::NeedsLocal, _) | (Found::NotOurs, None) => Cell::Local,
            (Found::NotOurs, Some(set)) => Cell::Parallel(vec![everywhere(set, &cell)]),
        };
    }
    if !may_hold_magic(&cell) && mode.autopx.is_none() {
        return Cell::Local;
    }
    let steps = steps(&cell, mode);
    match steps[..] {
        [] | [Step::Local(_)] => Cell::Local,
        _ => Cell::Parallel(steps),
    }
}

/// Takes off what IPython takes off first: empty lines at the start, and the first line's
/// indentation from every line that has it.
fn cleaned(code: &str) -> Cow<'_, str> {
    let content = code.trim_start();
    let first_line = code.len() - content.len();
    let begin = code[..first_line].rfind('\n').map_or(0, |newline| newline + 1);
    let indent = &code[begin..first_line];
    if indent.is_empty() {
        return Cow::Borrowed(content);
    }
    let lines = code[begin..].split_inclusive('\n');
    Cow::Owned(lines.map(|line| line.strip_prefix(indent).unwrap_or(line)).collect())
}

/// What a cell that begins with `%%` is.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
enum Found {
    Ours(Step),
    /// Ours, but the notebook's own Python has a part in it.
    NeedsLocal,
    NotOurs,
}

fn cell_magic(cell: &str, mode: Mode<'_>) -> Found {
    let (first, body) = cell.split_once('\n').unwrap_or((cell, ""));
    let (name, line) = name_and_line(first.strip_prefix("%%").unwrap_or_default());
    let asked = name.trim_end_matches('?');
    let Some((magic, set)) = table::find_suffixed(asked, mode.suffixes) else { return Found::NotOurs };
    Found::Ours(match (asked == name, magic.cell) {
        (false, _) => Step::Help(magic.help()),
        (true, true) if table::needs_local(line) => return Found::NeedsLocal,
        (true, true) => magic.call(&Call { set, line, cell: Some(body) }),
        (true, false) => Step::Usage(UsageError::NotACellMagic { name: magic.name }),
    })
}

/// The step of a line that begins with `%`, or `None` where the magic is not in our table.
fn line_magic(call: &str, mode: Mode<'_>) -> Option<Step> {
    let (name, line) = name_and_line(call);
    let asked = name.trim_end_matches('?');
    let (magic, set) = table::find_suffixed(asked, mode.suffixes)?;
    if asked != name {
        return Some(Step::Help(magic.help()));
    }
    // Only IPython knows the notebook's variables.
    let expands = magic.expand_line && line.contains(['{', '$']);
    (!expands).then(|| magic.call(&Call { set, line, cell: None }))
}

fn name_and_line(call: &str) -> (&str, &str) {
    let call = call.trim_end();
    let (name, line) = call.split_once(char::is_whitespace).unwrap_or((call, ""));
    (name, line.trim_start())
}

/// The steps of a cell that is no cell magic.
fn steps(cell: &str, mode: Mode<'_>) -> Vec<Step> {
    let autopx = mode.autopx.map(str::to_owned);
    let mut cutter = Cutter { autopx, steps: Vec::new(), stretch: Stretch::default() };
    for line in logical_lines(cell) {
        match line {
            Line::Blank(text) => cutter.stretch.text.push_str(text),
            Line::Code(text) => cutter.code(text),
            Line::Magic { text, call } => match line_magic(&call, mode) {
                Some(step) => cutter.magic(text, step),
                None => cutter.code(text),
            },
        }
    }
    cutter.end_stretch();
    cutter.steps
}

/// Collects lines into stretches that run in one place.
struct Cutter {
    /// The set that runs what is no magic.
    autopx: Option<String>,
    steps: Vec<Step>,
    stretch: Stretch,
}

/// Lines that stay together, since nothing between them changes where they run.
#[derive(Default)]
struct Stretch {
    text: String,
    /// Whether there is anything in it but comments and our magics.
    code: bool,
    /// What its magics ask for.
    magics: Vec<Step>,
}

impl Cutter {
    fn code(&mut self, text: &str) {
        self.stretch.text.push_str(text);
        self.stretch.code = true;
    }

    fn magic(&mut self, text: &str, step: Step) {
        if let Step::Autopx { set, switch } = &step {
            self.end_stretch();
            self.autopx = switch.apply(set, self.autopx.as_deref());
            self.steps.push(step);
        } else if self.autopx.is_some() {
            self.end_stretch();
            self.steps.push(step);
        } else {
            self.stretch.text.push_str(text);
            self.stretch.magics.push(step);
        }
    }

    /// Turns the stretch into steps: magics alone are the kernel's; with other code among them,
    /// it is the local shell's, or the engines'.
    fn end_stretch(&mut self) {
        let stretch = std::mem::take(&mut self.stretch);
        match (stretch.code, &self.autopx) {
            (false, _) => self.steps.extend(stretch.magics),
            (true, Some(set)) => self.steps.push(everywhere(set, &stretch.text)),
            (true, None) => self.steps.push(Step::Local(stretch.text)),
        }
    }
}

fn everywhere(set: &str, code: &str) -> Step {
    Step::Px(Px { set: set.to_owned(), code: code.to_owned(), auto: true, ..Px::default() })
}

#[cfg(test)]
mod tests;
