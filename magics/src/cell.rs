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
pub struct Mode {
    /// Whether `%autopx` is on.
    pub autopx: bool,
}

/// Reads a cell as it was typed.
#[must_use]
pub fn parse(code: &str, mode: Mode) -> Cell {
    let cell = cleaned(code);
    if cell.starts_with("%%") {
        return match cell_magic(&cell) {
            Some(step) => Cell::Parallel(vec![step]),
            None if mode.autopx => Cell::Parallel(vec![everywhere(&cell)]),
            None => Cell::Local,
        };
    }
    if !may_hold_magic(&cell) && !mode.autopx {
        return Cell::Local;
    }
    let steps = steps(&cell, mode.autopx);
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

/// The step of a cell that begins with `%%`, or `None` where the magic is not in our table.
fn cell_magic(cell: &str) -> Option<Step> {
    let (first, body) = cell.split_once('\n').unwrap_or((cell, ""));
    let (name, line) = name_and_line(first.strip_prefix("%%")?);
    let asked = name.trim_end_matches('?');
    let magic = table::find(asked)?;
    Some(match (asked == name, magic.cell) {
        (false, _) => Step::Help(magic.help()),
        (true, true) => magic.call(&Call { line, cell: Some(body) }),
        (true, false) => Step::Usage(UsageError::NotACellMagic { name: magic.name }),
    })
}

/// The step of a line that begins with `%`, or `None` where the magic is not in our table.
fn line_magic(call: &str) -> Option<Step> {
    let (name, line) = name_and_line(call);
    let asked = name.trim_end_matches('?');
    let magic = table::find(asked)?;
    Some(if asked == name { magic.call(&Call { line, cell: None }) } else { Step::Help(magic.help()) })
}

fn name_and_line(call: &str) -> (&str, &str) {
    let call = call.trim_end();
    let (name, line) = call.split_once(char::is_whitespace).unwrap_or((call, ""));
    (name, line.trim_start())
}

/// The steps of a cell that is no cell magic.
fn steps(cell: &str, autopx: bool) -> Vec<Step> {
    let mut cutter = Cutter { autopx, steps: Vec::new(), stretch: Stretch::default() };
    for line in logical_lines(cell) {
        match line {
            Line::Blank(text) => cutter.stretch.text.push_str(text),
            Line::Code(text) => cutter.code(text),
            Line::Magic { text, call } => match line_magic(&call) {
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
    autopx: bool,
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
        if let Step::Autopx(switch) = step {
            self.end_stretch();
            self.autopx = switch.apply(self.autopx);
            self.steps.push(step);
        } else if self.autopx {
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
        match (stretch.code, self.autopx) {
            (false, _) => self.steps.extend(stretch.magics),
            (true, true) => self.steps.push(everywhere(&stretch.text)),
            (true, false) => self.steps.push(Step::Local(stretch.text)),
        }
    }
}

fn everywhere(code: &str) -> Step {
    Step::Px(Px { code: code.to_owned(), ..Px::default() })
}

#[cfg(test)]
mod tests;
