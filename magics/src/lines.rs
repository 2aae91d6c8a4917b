//! A cell, cut into logical lines: where a magic may stand and where it is only text.
//!
//! A magic counts where IPython would take it: at the start of a logical line, outside strings and
//! brackets; and here only in the first column, because a block cannot be cut in two. The lexer of
//! rustpython-parser says where a logical line of Python ends. What it cannot read (IPython's own
//! syntax, f-strings of Python 3.12 that span lines) ends with the physical line that holds it.
//!
//! **Invariant**: the texts of all lines, joined, are the cell; each cell can be cut, whatever is
//! in it.

use rustpython_parser::Tok;
use rustpython_parser::lexer::Lexer;
use rustpython_parser::text_size::TextSize;

/// One logical line, with its newline.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// Nothing but white space or a comment.
    Blank(&'a str),
    /// A line magic in the first column.
    Magic {
        /// The line as typed.
        text: &'a str,
        /// What follows the `%`, continued lines joined as IPython joins them.
        call: String,
    },
    /// Anything else.
    Code(&'a str),
}

/// The logical lines of a cell.
pub(crate) fn logical_lines(cell: &str) -> impl Iterator<Item = Line<'_>> {
    let mut rest = cell;
    std::iter::from_fn(move || {
        let (text, after) = rest.split_at(first_line(rest)?);
        rest = after;
        Some(classify(text))
    })
}

/// Whether a magic could stand anywhere in the cell: where not, it need not be cut.
pub(crate) fn may_hold_magic(cell: &str) -> bool {
    cell.lines().any(|line| line.starts_with(['%', '?']))
}

fn classify(text: &str) -> Line<'_> {
    let content = text.trim_start();
    if content.is_empty() || content.starts_with('#') {
        return Line::Blank(text);
    }
    if let Some(call) = text.strip_prefix('%').filter(|call| !call.starts_with('%')) {
        return Line::Magic { text, call: joined(call) };
    }
    // `?%px` asks for the same help as `%px?`.
    let asked = text.trim_start_matches('?');
    match asked.trim().trim_start_matches('%') {
        name if asked != text && asked.starts_with('%') => Line::Magic { text, call: format!("{name}?") },
        _ => Line::Code(text),
    }
}

/// Lines that end in a backslash, joined as IPython joins them for a magic.
fn joined(call: &str) -> String {
    let lines = call.trim_end().split('\n').map(|line| line.trim_end());
    lines.map(|line| line.strip_suffix('\\').unwrap_or(line)).collect::<Vec<_>>().join(" ")
}

/// How many bytes the first logical line takes; `None` when there is none.
fn first_line(code: &str) -> Option<usize> {
    if code.is_empty() {
        return None;
    }
    let content = code.trim_start_matches([' ', '\t', '\x0c']);
    let indent = code.len() - content.len();
    let length = match content.chars().next() {
        None | Some('#' | '\r' | '\n') => physical_line(content, 0),
        Some('%' | '!' | '?') => continued_line(content),
        Some(_) => statement(content),
    };
    Some(indent + length)
}

/// Bytes up to the end of the line that holds the byte at `from`, with its newline.
fn physical_line(code: &str, from: usize) -> usize {
    let rest = code.as_bytes().get(from..).unwrap_or_default();
    rest.iter().position(|byte| *byte == b'\n').map_or(code.len(), |newline| from + newline + 1)
}

/// Bytes of a line that a backslash at its end continues, whatever is in it.
fn continued_line(code: &str) -> usize {
    let mut end = physical_line(code, 0);
    while end < code.len() && code[..end].trim_end_matches(['\r', '\n']).ends_with('\\') {
        end = physical_line(code, end);
    }
    end
}

/// Bytes of the statement that the code begins with.
fn statement(code: &str) -> usize {
    if u32::try_from(code.len()).is_err() {
        return physical_line(code, 0);
    }
    for token in Lexer::new(code.chars(), TextSize::default()) {
        match token {
            Ok((Tok::Newline, range)) => {
                let end = usize::from(range.end());
                return if end > 0 && code.is_char_boundary(end) { end } else { physical_line(code, 0) };
            }
            Ok(_) => {}
            // Some errors are placed behind the newline of the line they are about.
            Err(error) => return physical_line(code, usize::from(error.location).saturating_sub(1)),
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::{Line, logical_lines};

    /// One letter per logical line, and what its magic calls.
    fn show(cell: &str) -> String {
        let lines = logical_lines(cell).map(|line| match line {
            Line::Blank(_) => "-".to_owned(),
            Line::Code(_) => "c".to_owned(),
            Line::Magic { call, .. } => format!("<{call}>"),
        });
        lines.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn magics_are_found_where_ipython_takes_them() {
        for (cell, expect) in [
            ("", ""),
            ("%px 1", "<px 1>"),
            ("%px 1\n", "<px 1>"),
            ("%px 1\r\n%px 2\r\n", "<px 1> <px 2>"),
            ("# note\n\n%px 1", "- - <px 1>"),
            ("x = 1\n%px x", "c <px x>"),
            ("for i in y:\n    %px i\n%px j", "c c <px j>"),
            ("f(\n%px\n)", "c"),
            ("x = 5 \\\n%px", "c"),
            ("s = '''\n%px 1\n'''\n%px 2", "c <px 2>"),
            ("s = f'''{a}\n%px 1\n'''\n%px 2", "c <px 2>"),
            ("s = r'\\'\n%px 2", "c <px 2>"),
            ("x = %px 1", "c"),
            ("%px print('it''s\n%px 2", "<px print('it''s> <px 2>"),
            ("%px a, \\\n   b\n%px c", "<px a,     b> <px c>"),
            ("%px a \\", "<px a >"),
            ("%%px\n%px 1", "c <px 1>"),
            ("?%px\n?%%px\n??%px\n?len", "<px?> <px?> <px?> c"),
            ("a; %px 1", "c"),
            ("é = 'ü'\n%px é", "c <px é>"),
        ] {
            assert_eq!(show(cell), expect, "{cell}");
        }
    }

    #[test]
    fn what_the_lexer_cannot_read_ends_with_its_line() {
        for (cell, expect) in [
            ("!ls 'un\n%px 1", "c <px 1>"),
            ("!ls \\\n%px\n%px 1", "c <px 1>"),
            ("x = !ls 'un\n%px 1", "c <px 1>"),
            ("len?\n%px 1", "c <px 1>"),
            ("s = 'open\n%px 1", "c <px 1>"),
            ("s = f'{\na}'\n%px 1", "c c <px 1>"),
            ("x = 0777\n%px 1", "c <px 1>"),
            ("x = $y\n%px 1", "c <px 1>"),
            ("\tif x:\n  y\n%px 1", "c c <px 1>"),
            ("f(1,\n  $\n%px 1", "c <px 1>"),
            ("f(\n%px 1", "c"),
            ("s = '''\n%px 1", "c"),
            (")\n%px 1", "c <px 1>"),
            ("a \\ b\n%px 1", "c <px 1>"),
        ] {
            assert_eq!(show(cell), expect, "{cell}");
        }
    }
}
