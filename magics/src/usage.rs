//! What is wrong with how a magic was called, in words that say what was seen and what to do.
//!
//! The kernel prints these as IPython does: `UsageError: <text>`, no traceback.

use thiserror::Error;

use crate::targets::TargetError;

/// A magic was called in a way it does not understand.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UsageError {
    /// No magic of that name is in the table.
    #[error("no parallel magic `{name}`; there are: {known}")]
    UnknownMagic {
        /// The name, without its `%`.
        name: String,
        /// Every name there is.
        known: String,
    },
    /// `%%name` for a magic that takes no cell.
    #[error("`%%{name}` is a line magic, not a cell magic. Did you mean `%{name}` (single %)?")]
    NotACellMagic {
        /// The name, without its `%`.
        name: &'static str,
    },
    /// A cell magic without a cell.
    #[error(
        "%%{name} is a cell magic, but the cell body is empty. Did you mean the line magic %{name} (single %)?"
    )]
    EmptyBody {
        /// The name, without its `%`.
        name: &'static str,
    },
    /// An option that the magic does not have.
    #[error("unrecognized arguments: {seen}. {}{options}", did_you_mean(suggestion))]
    UnknownOption {
        /// The option as it was typed.
        seen: String,
        /// The known option closest to it.
        suggestion: Option<String>,
        /// A sentence that names the known options.
        options: String,
    },
    /// A prefix that several options share.
    #[error("ambiguous option `{seen}` of `{magic}`: it could be {candidates}")]
    AmbiguousOption {
        /// The magic as it is typed.
        magic: String,
        /// The prefix as it was typed.
        seen: String,
        /// The options it could be.
        candidates: String,
    },
    /// An option whose value is missing.
    #[error("argument {option}: expected one argument, such as `{example}`")]
    MissingValue {
        /// The option's spellings.
        option: String,
        /// What it could look like.
        example: String,
    },
    /// A value given to an option that takes none.
    #[error("argument {option}: it takes no value, but `{seen}` was given")]
    UnwantedValue {
        /// The option's spellings.
        option: String,
        /// The value.
        seen: String,
    },
    /// A value that its option cannot use.
    #[error("argument {option}: {reason}")]
    BadValue {
        /// The option's spellings.
        option: String,
        /// What was seen and what to write.
        reason: String,
    },
    /// A quote that is never closed.
    #[error("no closing quotation in `{line}`")]
    OpenQuote {
        /// The option line.
        line: String,
    },
    /// A word that is neither an option nor its value.
    #[error("unrecognized arguments: {seen}. {hint}")]
    Unrecognized {
        /// The words.
        seen: String,
        /// What to write instead.
        hint: String,
    },
    /// A target that cannot be read.
    #[error("argument -t/--targets: {0}")]
    Targets(#[from] TargetError),
}

fn did_you_mean(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map_or_else(String::new, |known| format!("Did you mean `{known}`? "))
}

/// The candidate that `seen` is most likely a misspelling of: at most one edit in three characters.
pub(crate) fn closest<'a>(seen: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let seen: Vec<char> = seen.chars().take(64).collect();
    candidates
        .into_iter()
        .map(|candidate| (edits(&seen, candidate), candidate))
        .filter(|(edits, candidate)| *edits * 3 <= candidate.len())
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Edit distance, a swap of neighbours counting as one edit.
fn edits(seen: &[char], candidate: &str) -> usize {
    let candidate: Vec<char> = candidate.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=candidate.len()).collect();
    for (i, &typed) in seen.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &meant) in candidate.iter().enumerate() {
            let swapped = i > 0 && j > 0 && typed == candidate[j - 1] && seen[i - 1] == meant;
            let substitute = above[j] + usize::from(typed != meant);
            let swap = if swapped { before[j - 1] + 1 } else { usize::MAX };
            row.push(substitute.min(swap).min(above[j + 1] + 1).min(row[j] + 1));
        }
        before = std::mem::replace(&mut above, row);
    }
    above[candidate.len()]
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn a_misspelling_finds_its_word_and_a_stranger_finds_none() {
        let known = ["targets", "block", "noblock", "n"];
        for (seen, expect) in [
            ("tagrets", Some("targets")),
            ("target", Some("targets")),
            ("noblok", Some("noblock")),
            ("blokc", Some("block")),
            ("blocked", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(closest(seen, known), expect, "{seen}");
        }
    }
}
