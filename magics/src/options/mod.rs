//! The option lines of magics, read from a table of options.
//!
//! Follows argparse, which IPython's magics use: `--targets 0`, `--targets=0`, `-t 0`, `-t0`, any
//! prefix that only one option has, flags in one word (`-bt0`), and of contradicting options the
//! last one. Beyond it, `[0, 2]` and `0, 2` may hold spaces and `-2:` is a value; a prefix that only one
//! option of ipyparallel's has means that one, whatever options were added to those.
//!
//! Knows how options are written, not what their values mean: each magic turns the values into its
//! own arguments.

mod words;

use crate::usage::{UsageError, closest};

/// One option of a magic: a row of its table, its help and its documentation.
#[derive(Debug, PartialEq, Eq)]
pub struct OptionSpec {
    /// Its long name, without the dashes.
    pub long: &'static str,
    /// Its letter.
    pub short: Option<char>,
    /// Whether a value follows.
    pub value: Value,
    /// What it does, in one line.
    pub help: &'static str,
    /// Whether ipyparallel has no such option.
    pub added: bool,
}

/// Whether an option is followed by a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// None follows: the option is there or it is not.
    Flag,
    /// One value follows.
    One {
        /// What help calls the value.
        metavar: &'static str,
        /// A value that an error can suggest.
        example: &'static str,
    },
}

/// An option that is there or not.
pub(crate) const fn flag(long: &'static str, short: Option<char>, help: &'static str) -> OptionSpec {
    OptionSpec { long, short, value: Value::Flag, help, added: false }
}

/// An option with a value, which help calls `metavar`; errors suggest `example`.
pub(crate) const fn valued(
    long: &'static str,
    short: Option<char>,
    metavar: &'static str,
    example: &'static str,
    help: &'static str,
) -> OptionSpec {
    OptionSpec { long, short, value: Value::One { metavar, example }, help, added: false }
}

impl OptionSpec {
    /// The same, and ipyparallel has no such option.
    pub(crate) const fn added(mut self) -> OptionSpec {
        self.added = true;
        self
    }

    /// All spellings, as argparse names an option in its errors: `-t/--targets`.
    #[must_use]
    pub fn spellings(&self) -> String {
        match self.short {
            Some(short) if self.is_letter() => format!("-{short}"),
            Some(short) => format!("-{short}/--{}", self.long),
            None => format!("--{}", self.long),
        }
    }

    /// Whether it has no name but its letter.
    pub(crate) fn is_letter(&self) -> bool {
        self.long.len() == 1
    }

    /// How it is best typed.
    fn spelled(&self) -> String {
        if self.is_letter() { format!("-{}", self.long) } else { format!("--{}", self.long) }
    }

    fn given(&'static self, value: impl Into<String>) -> Given {
        Given { spec: self, value: value.into() }
    }
}

/// An option line, read.
#[derive(Debug, PartialEq, Eq, Default)]
pub(crate) struct Line {
    /// The options in the order in which they were typed.
    pub(crate) given: Vec<Given>,
    /// The words that are neither options nor their values.
    pub(crate) words: Vec<String>,
}

/// An option that was typed, with its value (empty for a flag).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) spec: &'static OptionSpec,
    pub(crate) value: String,
}

/// Reads the option line of `magic` (as it is typed: `%%px`) by its table of options.
pub(crate) fn read(magic: &str, specs: &'static [OptionSpec], line: &str) -> Result<Line, UsageError> {
    let mut reader = Reader { magic, specs, words: words::split(line)?.into_iter().peekable() };
    let mut read = Line::default();
    while let Some(word) = reader.words.next() {
        if let Some(long) = word.strip_prefix("--") {
            read.given.push(reader.long(&word, long)?);
        } else if is_option(&word) {
            reader.letters(&word, &mut read.given)?;
        } else {
            read.words.push(word);
        }
    }
    Ok(read)
}

/// Whether a word is an option rather than a value: `-t`, but not `-1` or `-2:`.
fn is_option(word: &str) -> bool {
    let mut chars = word.chars();
    chars.next() == Some('-') && chars.next().is_some_and(|c| !c.is_ascii_digit() && c != ':' && c != '.')
}

struct Reader<'a> {
    magic: &'a str,
    specs: &'static [OptionSpec],
    words: std::iter::Peekable<std::vec::IntoIter<String>>,
}

impl Reader<'_> {
    /// `--name`, `--name VALUE` or `--name=VALUE`; `typed` is the word without its dashes.
    fn long(&mut self, word: &str, typed: &str) -> Result<Given, UsageError> {
        let (name, glued) = match typed.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (typed, None),
        };
        let spec = self.named(word, name)?;
        match (spec.value, glued) {
            (Value::Flag, None) => Ok(spec.given("")),
            (Value::Flag, Some(value)) => Err(unwanted(spec, value)),
            (Value::One { .. }, Some(value)) => Ok(spec.given(self.whole(value.to_owned()))),
            (Value::One { .. }, None) => self.value_of(spec),
        }
    }

    /// `-b`, `-t VALUE`, `-tVALUE`, `-t=VALUE`, and several letters in one word.
    fn letters(&mut self, word: &str, given: &mut Vec<Given>) -> Result<(), UsageError> {
        // `-targets 0` would be read as `-t argets`, which nobody means.
        if self.specs.iter().any(|spec| spec.long.len() > 1 && spec.long == &word[1..]) {
            return Err(self.unknown(word));
        }
        let mut rest = &word[1..];
        while let Some(letter) = rest.chars().next() {
            let spec = self
                .specs
                .iter()
                .find(|spec| spec.short == Some(letter))
                .ok_or_else(|| self.unknown(word))?;
            rest = &rest[letter.len_utf8()..];
            if let Value::One { .. } = spec.value {
                let glued = rest.strip_prefix('=').unwrap_or(rest).to_owned();
                given.push(if rest.is_empty() {
                    self.value_of(spec)?
                } else {
                    spec.given(self.whole(glued))
                });
                return Ok(());
            }
            if let Some(value) = rest.strip_prefix('=') {
                return Err(unwanted(spec, value));
            }
            given.push(spec.given(""));
        }
        Ok(())
    }

    /// The option of that long name, or the only one that begins so, or the only one of ipyparallel's.
    fn named(&self, word: &str, name: &str) -> Result<&'static OptionSpec, UsageError> {
        if let Some(exact) = self.specs.iter().find(|spec| spec.long == name) {
            return Ok(exact);
        }
        let begins =
            |spec: &&OptionSpec| !name.is_empty() && !spec.is_letter() && spec.long.starts_with(name);
        let candidates: Vec<&OptionSpec> = self.specs.iter().filter(begins).collect();
        let known: Vec<&OptionSpec> = candidates.iter().copied().filter(|spec| !spec.added).collect();
        match (&candidates[..], &known[..]) {
            (&[only], _) | (_, &[only]) => Ok(only),
            ([], _) => Err(self.unknown(word)),
            _ => {
                let all: Vec<String> = candidates.iter().map(|spec| format!("`--{}`", spec.long)).collect();
                Err(UsageError::AmbiguousOption {
                    magic: self.magic.to_owned(),
                    seen: word.to_owned(),
                    candidates: all.join(" or "),
                })
            }
        }
    }

    /// The value in the words that follow.
    fn value_of(&mut self, spec: &'static OptionSpec) -> Result<Given, UsageError> {
        match self.words.next_if(|word| !is_option(word)) {
            Some(value) => Ok(spec.given(self.whole(value))),
            None => Err(missing(spec)),
        }
    }

    /// A value with what belongs to it after a space: `0, 2`.
    fn whole(&mut self, mut value: String) -> String {
        while value.ends_with(',')
            && let Some(more) = self.words.next_if(|word| !is_option(word))
        {
            value.push(' ');
            value.push_str(&more);
        }
        value
    }

    fn unknown(&self, word: &str) -> UsageError {
        let typed = word.split('=').next().unwrap_or(word).trim_start_matches('-');
        let suggestion =
            closest(typed, self.specs.iter().filter(|spec| !spec.is_letter()).map(|spec| spec.long))
                .map(|known| format!("--{known}"));
        UsageError::UnknownOption {
            seen: word.to_owned(),
            suggestion,
            options: options(self.magic, self.specs),
        }
    }
}

/// The sentence that names all options of a magic.
pub(crate) fn options(magic: &str, specs: &[OptionSpec]) -> String {
    if specs.is_empty() {
        return format!("`{magic}` takes no options");
    }
    let all: Vec<String> = specs.iter().map(OptionSpec::spellings).collect();
    format!("Options of `{magic}`: {}", all.join(", "))
}

fn missing(spec: &OptionSpec) -> UsageError {
    let example = match spec.value {
        Value::One { example, .. } => format!("{} {example}", spec.spelled()),
        Value::Flag => spec.spelled(),
    };
    UsageError::MissingValue { option: spec.spellings(), example }
}

fn unwanted(spec: &OptionSpec, value: &str) -> UsageError {
    UsageError::UnwantedValue { option: spec.spellings(), seen: value.to_owned() }
}

#[cfg(test)]
mod tests;
