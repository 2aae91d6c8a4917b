//! The table of magics: one file per magic with its name, options, help, examples and parser.
//!
//! Help (`%px?`), the README's table and the names that the local shell registers all come from
//! here, so a magic that is not in the table does not exist.

mod autopx;
mod engines;
mod execution;
mod px;
mod pxconfig;
mod pxresult;
mod pxstack;
mod render;

use crate::options::OptionSpec;
use crate::step::Step;
use crate::usage::UsageError;

pub(crate) use px::needs_local;
pub use render::{documentation, help, markdown_table};

/// One magic: a row of the table.
#[derive(Debug)]
pub struct Magic {
    /// Its name, without `%`.
    pub name: &'static str,
    /// Whether it is a line magic, `%name`.
    pub line: bool,
    /// Whether it is a cell magic, `%%name`.
    pub cell: bool,
    /// Whether sets of engines that were activated under a suffix have it too: `%px_x`.
    pub suffixed: bool,
    /// Whether IPython may put variables into its line (`{name}`, `$name`) before it is read:
    /// never where the line is code. The line of a cell magic holds options, and may always.
    pub expand_line: bool,
    /// What it does, in one line.
    pub summary: &'static str,
    /// The ways to type it.
    pub usages: &'static [Usage],
    /// Its options.
    pub options: &'static [OptionSpec],
    /// What else there is to know.
    pub notes: &'static str,
    /// Examples that run as they stand.
    pub examples: &'static [Example],
    /// From a call to a step.
    parse: fn(&Call<'_>) -> Result<Step, UsageError>,
}

/// One way to type a magic.
#[derive(Debug)]
pub struct Usage {
    /// What is typed: `%px CODE`.
    pub form: &'static str,
    /// What it does.
    pub effect: &'static str,
}

/// A cell that shows a magic at work.
#[derive(Debug)]
pub struct Example {
    /// The cell.
    pub cell: &'static str,
    /// What it does.
    pub effect: &'static str,
}

/// A magic that was called.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// The suffix of the set that it is for.
    pub(crate) set: &'a str,
    /// What follows its name on the line.
    pub(crate) line: &'a str,
    /// The cell below it, for a cell magic.
    pub(crate) cell: Option<&'a str>,
}

static TABLE: [Magic; 7] = [
    px::MAGIC,
    autopx::MAGIC,
    pxconfig::MAGIC,
    pxresult::MAGIC,
    pxresult::ALIAS,
    pxstack::MAGIC,
    engines::MAGIC,
];

/// Every magic there is.
#[must_use]
pub fn table() -> &'static [Magic] {
    &TABLE
}

/// Reads a magic that running Python called: `magic` is its name, with or without `%`; `suffixes` are those of the
/// sets that were activated.
///
/// # Errors
///
/// When there is no such magic, or it cannot be called like that.
pub fn parse_call(
    magic: &str,
    line: &str,
    cell: Option<&str>,
    suffixes: &[String],
) -> Result<Step, UsageError> {
    let name = magic.trim_start_matches('%');
    let known = || TABLE.iter().map(|magic| format!("`%{}`", magic.name)).collect::<Vec<_>>().join(", ");
    let (magic, set) = find_suffixed(name, suffixes)
        .ok_or_else(|| UsageError::UnknownMagic { name: name.to_owned(), known: known() })?;
    if cell.is_some() && !magic.cell {
        return Err(UsageError::NotACellMagic { name: magic.name });
    }
    (magic.parse)(&Call { set, line: line.trim(), cell })
}

pub(crate) fn find(name: &str) -> Option<&'static Magic> {
    TABLE.iter().find(|magic| magic.name == name)
}

/// The magic of that name, and the suffix in it.
pub(crate) fn find_suffixed<'a>(name: &str, suffixes: &'a [String]) -> Option<(&'static Magic, &'a str)> {
    let suffixed = |suffix: &'a String| {
        let magic = find(name.strip_suffix(suffix.as_str()).filter(|_| !suffix.is_empty())?)?;
        magic.suffixed.then_some((magic, suffix.as_str()))
    };
    find(name).map(|magic| (magic, "")).or_else(|| suffixes.iter().find_map(suffixed))
}

impl Magic {
    /// The step that a call asks for; one that cannot be read asks to say so.
    pub(crate) fn call(&self, call: &Call<'_>) -> Step {
        (self.parse)(call).unwrap_or_else(Step::Usage)
    }
}
