//! An option line, cut into words as a shell would.
//!
//! Quotes hold a word together and are dropped; brackets hold a word together and stay, so that
//! `[0, 2]` and `range(0, 4)` need no quotes. A backslash is a character like any other.

use crate::usage::UsageError;

/// The words of `line`.
pub(super) fn split(line: &str) -> Result<Vec<String>, UsageError> {
    // A bracket that nothing closes is an ordinary character.
    let last_closing = line.rfind([')', ']']).unwrap_or(0);
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(c) = line[at..].chars().next() {
        let next = at + c.len_utf8();
        if c == '\'' || c == '"' {
            let quoted = line[next..].split(c).next().unwrap_or_default();
            let after = next + quoted.len() + 1;
            if after > line.len() {
                return Err(UsageError::OpenQuote { line: line.to_owned() });
            }
            word.get_or_insert_default().push_str(quoted);
            at = after;
            continue;
        }
        if c.is_whitespace() && depth == 0 {
            words.extend(word.take());
        } else {
            word.get_or_insert_default().push(c);
        }
        match c {
            '(' | '[' if at < last_closing => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at = next;
    }
    words.extend(word);
    Ok(words)
}
