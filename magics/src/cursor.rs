//! Where in a cell a cursor stands, for whoever completes or explains what stands there.
//!
//! **Invariant**: as [`crate::parse`], it takes any text and judges no Python; ranges are bytes of the cell.

use std::ops::Range;

use crate::cell::Mode;
use crate::options::{OptionSpec, Value};
use crate::step::Step;
use crate::table::{self, Call, Magic};
use crate::targets::Targets;

/// What the text around a cursor is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The notebook's own.
    Local,
    /// Code for engines.
    Engines {
        /// The suffix of the set that it belongs to.
        set: String,
        /// The targets that the cell names.
        targets: Option<Targets>,
        /// Where the code stands.
        code: Range<usize>,
    },
    /// Options of a magic of ours.
    Options {
        /// The word that is being typed.
        typed: Range<usize>,
        /// What it can become.
        words: Vec<String>,
    },
}

/// Finds out what stands at the byte `cursor` of a cell. `ids` are the engines there are.
#[must_use]
pub fn place(cell: &str, cursor: usize, mode: Mode<'_>, ids: &[u32]) -> Place {
    let cursor = (0..=cursor.min(cell.len())).rev().find(|at| cell.is_char_boundary(*at)).unwrap_or(0);
    let begin = cell.len() - cell.trim_start().len();
    if let Some(first) = cell[begin..].strip_prefix("%%")
        && let Some(place) = in_cell_magic(cell, begin, first, cursor, mode, ids)
    {
        return place;
    }
    let line_begin = cell[..cursor].rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = cell[cursor..].find('\n').map_or(cell.len(), |newline| cursor + newline);
    if let Some(place) = in_line_magic(cell, line_begin..line_end, cursor, mode, ids) {
        return place;
    }
    match mode.autopx {
        Some(set) => Place::Engines { set: set.to_owned(), targets: None, code: 0..cell.len() },
        None => Place::Local,
    }
}

fn in_cell_magic(
    cell: &str,
    begin: usize,
    first: &str,
    cursor: usize,
    mode: Mode<'_>,
    ids: &[u32],
) -> Option<Place> {
    let end = cell[begin..].find('\n').map_or(cell.len(), |newline| begin + newline);
    let name = first.split(char::is_whitespace).next().unwrap_or_default();
    let (magic, set) = table::find_suffixed(name, mode.suffixes).filter(|(magic, _)| magic.cell)?;
    let options = begin + 2 + name.len();
    if cursor <= end {
        return Some(in_options(magic, cell, options, cursor, ids));
    }
    let (line, body) = (cell[options..end].trim(), &cell[end + 1..]);
    let targets = match magic.call(&Call { set, line, cell: Some(body) }) {
        Step::Px(px) => px.args.config.targets,
        _ => None,
    };
    Some(Place::Engines { set: set.to_owned(), targets, code: end + 1..cell.len() })
}

fn in_line_magic(
    cell: &str,
    line: Range<usize>,
    cursor: usize,
    mode: Mode<'_>,
    ids: &[u32],
) -> Option<Place> {
    let text = &cell[line.clone()];
    let content = text.trim_start();
    let begin = line.start + text.len() - content.len();
    let name = content.strip_prefix('%')?.split(char::is_whitespace).next().unwrap_or_default();
    let (magic, set) = table::find_suffixed(name, mode.suffixes).filter(|(magic, _)| magic.line)?;
    let after = begin + 1 + name.len();
    if !magic.cell {
        return Some(in_options(magic, cell, after, cursor, ids));
    }
    // What follows `%px` is code, and its name is completed by who knows all magics.
    let code = line.end - cell[after..line.end].trim_start().len();
    let place = Place::Engines { set: set.to_owned(), targets: None, code: code..line.end };
    Some(if cursor > after { place } else { Place::Local })
}

/// The options that what is typed between `begin` and the cursor can become.
fn in_options(magic: &Magic, cell: &str, begin: usize, cursor: usize, ids: &[u32]) -> Place {
    let Some(typed) = cell.get(begin..cursor).filter(|typed| typed.starts_with(char::is_whitespace)) else {
        return Place::Local;
    };
    let word_begin = typed.rfind(char::is_whitespace).map_or(0, |space| space + 1);
    let (before, word) = (&typed[..word_begin], &typed[word_begin..]);
    let previous = before.split_whitespace().next_back().unwrap_or_default();
    let (word, candidates) = match word.split_once('=') {
        Some((option, value)) if word.starts_with("--") => (value, values(named(magic, option), ids)),
        _ if word.starts_with('-') => (word, spellings(magic)),
        _ => match named(magic, previous).filter(|spec| takes_value(spec)) {
            Some(spec) => (word, values(Some(spec), ids)),
            None => (word, subcommands(magic, before).into_iter().chain(spellings(magic)).collect()),
        },
    };
    let words = candidates.into_iter().filter(|candidate| candidate.starts_with(word)).collect();
    Place::Options { typed: cursor - word.len()..cursor, words }
}

fn takes_value(spec: &OptionSpec) -> bool {
    matches!(spec.value, Value::One { .. })
}

/// The option that is spelled so: `-t`, `--targets`, or the only one that begins so.
fn named<'a>(magic: &'a Magic, typed: &str) -> Option<&'a OptionSpec> {
    if let Some(long) = typed.strip_prefix("--") {
        let mut matching = magic.options.iter().filter(|spec| spec.long.starts_with(long));
        let exact = magic.options.iter().find(|spec| spec.long == long);
        return exact.or_else(|| matching.next().filter(|_| matching.next().is_none()));
    }
    let letter = typed.strip_prefix('-').and_then(|letters| letters.chars().next_back())?;
    magic.options.iter().find(|spec| spec.short == Some(letter))
}

fn spellings(magic: &Magic) -> Vec<String> {
    let spelled = |spec: &OptionSpec| match spec.is_letter() {
        true => format!("-{}", spec.long),
        false => format!("--{}", spec.long),
    };
    magic.options.iter().map(spelled).collect()
}

/// The words that a value can be, where there are some to choose from.
fn values(spec: Option<&OptionSpec>, ids: &[u32]) -> Vec<String> {
    let Some(Value::One { metavar, .. }) = spec.map(|spec| spec.value) else { return Vec::new() };
    let fixed: &[&str] = match metavar {
        "TARGETS" => &["all", "::2", "1:"],
        "GROUPING" => &["type", "engine", "order"],
        "SIGNAL" => &["SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGKILL"],
        _ => &[],
    };
    let ids = ids.iter().filter(|_| metavar == "TARGETS").map(u32::to_string);
    fixed.iter().map(|word| (*word).to_owned()).chain(ids).collect()
}

/// The words that may follow a magic's name, as its usages show them: `%engines start`.
fn subcommands(magic: &Magic, before: &str) -> Vec<String> {
    if !before.trim().is_empty() {
        return Vec::new();
    }
    let word = |form: &'static str| form.split_whitespace().nth(1);
    let literal = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase());
    let mut words: Vec<String> =
        magic.usages.iter().filter_map(|usage| word(usage.form)).filter(literal).map(str::to_owned).collect();
    words.dedup();
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands at the `|` of a cell: `local`, `targets "code"` or `typed -> words`.
    fn show(marked: &str, autopx: Option<&str>) -> String {
        let cursor = marked.find('|').unwrap();
        let cell = marked.replacen('|', "", 1);
        match place(&cell, cursor, Mode { autopx, suffixes: &["_x".to_owned()] }, &[0, 1]) {
            Place::Local => "local".to_owned(),
            Place::Engines { set, targets, code } => {
                let targets = targets.map_or_else(|| "-".to_owned(), |targets| targets.to_string());
                format!("{set}{targets} {:?}", &cell[code])
            }
            Place::Options { typed, words } => format!("{:?} -> {}", &cell[typed], words.join(" ")),
        }
    }

    #[test]
    fn a_cursor_is_where_the_cell_would_run() {
        for (cell, expect) in [
            ("impo|", "local"),
            ("%%p|", "local"),
            ("%%px|", "local"),
            ("%%px\nnp.a|", "- \"np.a\""),
            ("\n%%px -t 1\nx = 1\nx.|\ny", "1 \"x = 1\\nx.\\ny\""),
            ("%%px --wrong\nx.|", "- \"x.\""),
            ("%%px_x\nx.|", "_x- \"x.\""),
            ("%%time\nx.|", "local"),
            ("a = 1\n%px  x.|", "- \"x.\""),
            ("if a:\n    %px x.|y\nz", "- \"x.y\""),
            ("%p|x x", "local"),
            ("%px|", "local"),
            ("%px_x é.|", "_x- \"é.\""),
        ] {
            assert_eq!(show(cell, None), expect, "{cell}");
        }
        assert_eq!(show("x.|\ny", Some("")), "- \"x.\\ny\"");
        assert_eq!(show("%%time\nx.|", Some("")), "- \"%%time\\nx.\"");
        assert_eq!(show("%engines st|", Some("")), "\"st\" -> start stop");
    }

    #[test]
    fn options_and_their_values_are_completed_from_the_table() {
        for (cell, expect) in [
            ("%%px --tar|", "\"--tar\" -> --targets"),
            ("%%px --ti|\nx", "\"--ti\" -> --timeout"),
            ("%%px --block --no-c|", "\"--no-c\" -> --no-collapse"),
            ("%%px -t |", "\"\" -> all ::2 1: 0 1"),
            ("%%px --targets=a|", "\"a\" -> all"),
            ("%%px --targ a|", "\"a\" -> all"),
            ("%%px --group-outputs |", "\"\" -> type engine order"),
            ("%%px -e x|", "\"x\" -> "),
            ("%pxconfig --progress|", "\"--progress\" -> --progress-after"),
            ("%engines res|", "\"res\" -> restart"),
        ] {
            assert_eq!(show(cell, None), expect, "{cell}");
        }
    }
}
