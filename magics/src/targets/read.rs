//! Targets, read from what was typed.

use std::str::FromStr;

use super::{TargetError, Targets};

impl FromStr for Targets {
    type Err = TargetError;

    fn from_str(typed: &str) -> Result<Self, TargetError> {
        read(typed).map_err(|hint| TargetError::Unreadable { seen: typed.trim().to_owned(), hint })
    }
}

/// The targets, or a hint at what is wrong.
fn read(typed: &str) -> Result<Targets, &'static str> {
    let text = unquoted(typed);
    if text.eq_ignore_ascii_case("all") || text.eq_ignore_ascii_case("none") {
        return Ok(Targets::All);
    }
    if let Some(bounds) =
        text.strip_prefix("range").map(str::trim_start).and_then(|text| inside(text, '(', ')'))
    {
        return range(bounds);
    }
    let bracketed = inside(text, '[', ']').or_else(|| inside(text, '(', ')'));
    let content = bracketed.unwrap_or(text).trim();
    if content.contains(':') {
        return slice(content);
    }
    if bracketed.is_some() || content.contains(',') {
        return many(content).map(|ids| match ids[..] {
            // `(0)` is an integer in parentheses, `(0,)` and `[0]` are a sequence.
            [id] if text.starts_with('(') && !content.contains(',') => Targets::One(id),
            _ => Targets::Many(ids),
        });
    }
    id(content).map(Targets::One)
}

/// The text without the quotes around it; a shell-like split has taken one pair already.
fn unquoted(text: &str) -> &str {
    let text = text.trim();
    inside(text, '"', '"').or_else(|| inside(text, '\'', '\'')).map_or(text, str::trim)
}

fn inside(text: &str, open: char, close: char) -> Option<&str> {
    text.strip_prefix(open)?.strip_suffix(close)
}

fn id(text: &str) -> Result<i64, &'static str> {
    let text = text.trim();
    text.parse().map_err(|_| hint(text))
}

/// What people mean by what is not an id.
fn hint(text: &str) -> &'static str {
    let mut chars = text.chars().filter(|c| !c.is_whitespace());
    if text.is_empty() {
        ": there is nothing there"
    } else if text.chars().all(|c| c.is_ascii_digit()) {
        ": no engine has so large an id"
    } else if text.contains(['{', '}', '$']) {
        ": variables are not looked up, write the ids themselves"
    } else if text.parse::<f64>().is_ok() && text.starts_with(|c: char| !c.is_alphabetic()) {
        ": an engine's id is an integer"
    } else if chars.clone().all(|c| c.is_ascii_digit()) {
        ": engines are separated by commas"
    } else if text.contains('-') && chars.all(|c| c.is_ascii_digit() || c == '-') {
        ": engines 0 to 3 are `0:4`"
    } else if text.starts_with(|c: char| c.is_alphabetic() || c == '_') {
        ": names are not looked up, write the ids themselves"
    } else {
        ""
    }
}

fn many(content: &str) -> Result<Vec<i64>, &'static str> {
    let content = content.trim();
    let content = content.strip_suffix(',').unwrap_or(content);
    if content.trim().is_empty() {
        return Err(": there is no engine in it");
    }
    content.split(',').map(id).collect()
}

/// `start:stop:step`, each part optional.
fn slice(content: &str) -> Result<Targets, &'static str> {
    let bound = |text: &str| if text.trim().is_empty() { Ok(None) } else { id(text).map(Some) };
    let parts: Vec<Option<i64>> = content.split(':').map(bound).collect::<Result<_, _>>()?;
    match parts[..] {
        [start, stop] => Ok(Targets::Slice { start, stop, step: None }),
        [_, _, Some(0)] => Err(": its step must not be 0"),
        [start, stop, step] => Ok(Targets::Slice { start, stop, step }),
        _ => Err(": a slice is `start:stop` or `start:stop:step`"),
    }
}

/// What stands between the parentheses of `range(…)`.
fn range(bounds: &str) -> Result<Targets, &'static str> {
    match many(bounds)?[..] {
        [stop] => Ok(Targets::Range { start: 0, stop, step: 1 }),
        [start, stop] => Ok(Targets::Range { start, stop, step: 1 }),
        [_, _, 0] => Err(": its step must not be 0"),
        [start, stop, step] => Ok(Targets::Range { start, stop, step }),
        _ => Err(": it is `range(stop)`, `range(start, stop)` or `range(start, stop, step)`"),
    }
}
