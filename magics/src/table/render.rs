//! Help and documentation, written from the table.

use std::fmt::Write as _;

use super::{Magic, find, table};
use crate::options::{OptionSpec, Value};

/// The help text of a magic, by its name with or without `%`; what `%px?` shows.
#[must_use]
pub fn help(name: &str) -> Option<String> {
    find(name.trim_start_matches('%').trim_end_matches('?')).map(Magic::help)
}

/// The table of magics for the README, in Markdown.
#[must_use]
pub fn markdown_table() -> String {
    let mut text = "| Magic | What it does |\n| --- | --- |\n".to_owned();
    for magic in table() {
        let usages = magic.usages.iter().map(|usage| (usage.form.to_owned(), usage.effect));
        let options = magic.options.iter().map(|option| (typed(option), option.help));
        for (form, effect) in usages.chain(options) {
            let _ = writeln!(text, "| `{}` | {effect} |", form.replace('|', "\\|"));
        }
    }
    text
}

impl Magic {
    /// Its help text.
    #[must_use]
    pub fn help(&self) -> String {
        let mut text = format!("{}\n", self.summary);
        let width = self.usages.iter().map(|usage| usage.form.len()).max().unwrap_or_default();
        section(&mut text, "Usage", self.usages, |usage| format!("{:width$}  {}", usage.form, usage.effect));
        let width = self.options.iter().map(|option| typed(option).len()).max().unwrap_or_default();
        section(&mut text, "Options", self.options, |option| {
            format!("{:width$}  {}", typed(option), option.help)
        });
        if !self.notes.is_empty() {
            let _ = write!(text, "\n{}\n", self.notes);
        }
        section(&mut text, "Examples", self.examples, |example| {
            let cell = example.cell.replace('\n', "\n  ");
            format!("{cell}\n      {}", example.effect)
        });
        text
    }
}

fn section<T>(text: &mut String, title: &str, rows: &[T], row: impl Fn(&T) -> String) {
    if rows.is_empty() {
        return;
    }
    let _ = write!(text, "\n{title}\n");
    for each in rows {
        let _ = writeln!(text, "  {}", row(each));
    }
}

/// How an option is typed: `-t, --targets TARGETS`.
fn typed(option: &OptionSpec) -> String {
    let short = option.short.map_or_else(|| "    ".to_owned(), |short| format!("-{short}, "));
    let value = match option.value {
        Value::Flag => String::new(),
        Value::One { metavar, .. } => format!(" {metavar}"),
    };
    format!("{short}--{}{value}", option.long)
}

#[cfg(test)]
mod tests {
    use super::{help, markdown_table, table};
    use crate::{Cell, Mode, Step, parse};

    #[test]
    fn help_names_every_usage_option_and_example() {
        for magic in table() {
            let help = help(magic.name).expect(magic.name);
            for usage in magic.usages {
                assert!(help.contains(usage.form), "{help}");
            }
            for option in magic.options {
                assert!(help.contains(&format!("--{}", option.long)) && help.contains(option.help), "{help}");
            }
            for example in magic.examples {
                assert!(help.contains(example.effect), "{help}");
            }
            assert!(help.lines().all(|line| line.len() <= 110), "{help}");
        }
        assert_eq!(help("%%px?"), help("px"));
        assert_eq!(help("nothing"), None);
    }

    #[test]
    fn every_example_is_a_parallel_cell() {
        for example in table().iter().flat_map(|magic| magic.examples) {
            let Cell::Parallel(steps) = parse(example.cell, Mode::default()) else {
                panic!("{} is local", example.cell)
            };
            assert!(!steps.iter().any(|step| matches!(step, Step::Usage(_))), "{steps:?}");
        }
    }

    #[test]
    fn the_readme_shows_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
        let readme = std::fs::read_to_string(path).unwrap_or_default();
        let Some((_, rest)) = readme.split_once("<!-- magics -->") else {
            assert!(readme.is_empty(), "README.md has no line `<!-- magics -->`");
            return;
        };
        let (shown, _) = rest.split_once("<!-- /magics -->").expect("`<!-- /magics -->` ends the table");
        assert_eq!(shown.trim(), markdown_table().trim(), "put this between the two lines of README.md");
    }
}
