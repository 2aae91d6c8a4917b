//! Help and documentation, written from the table.

use std::fmt::Write as _;

use super::{Magic, Usage, find, table};
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
        for Usage { form, effect } in magic.usages {
            let _ = writeln!(text, "| `{}` | {effect} |", form.replace('|', "\\|"));
        }
    }
    text
}

/// docs/magics.md: every magic with its options and examples.
#[must_use]
pub fn documentation() -> String {
    let mut text = "# The parallel magics\n\nMade from the table in `magics/src/table`, which is also what `%px?` shows.\n".to_owned();
    for magic in table() {
        let _ = write!(text, "\n## `%{}`\n\n{}\n", magic.name, magic.summary);
        markdown_rows(
            &mut text,
            "Typed",
            magic.usages.iter().map(|usage| (usage.form.to_owned(), usage.effect)),
        );
        markdown_rows(
            &mut text,
            "Option",
            magic.options.iter().map(|option| (typed(option).trim().to_owned(), option.help)),
        );
        if !magic.notes.is_empty() {
            let _ = write!(text, "\n{}\n", magic.notes);
        }
        for example in magic.examples {
            let _ = write!(text, "\n{}\n\n```python\n{}\n```\n", example.effect, example.cell);
        }
    }
    text
}

fn markdown_rows<'a>(text: &mut String, title: &str, rows: impl Iterator<Item = (String, &'a str)>) {
    let mut head = Some(format!("\n| {title} | What it does |\n| --- | --- |\n"));
    for (form, effect) in rows {
        text.push_str(&head.take().unwrap_or_default());
        let _ = writeln!(text, "| `{}` | {} |", form.replace('|', "\\|"), effect.replace('|', "\\|"));
    }
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
    if option.is_letter() {
        let value = match option.value {
            Value::Flag => String::new(),
            Value::One { metavar, .. } => format!(" {metavar}"),
        };
        return format!("-{}{value}", option.long);
    }
    let value = match option.value {
        Value::Flag => String::new(),
        Value::One { metavar, .. } => format!(" {metavar}"),
    };
    format!("{short}--{}{value}", option.long)
}

#[cfg(test)]
mod tests {
    use super::{documentation, help, markdown_table, table, typed};
    use crate::{Cell, Mode, Step, parse};

    #[test]
    fn help_names_every_usage_option_and_example() {
        for magic in table() {
            let help = help(magic.name).expect(magic.name);
            for usage in magic.usages {
                assert!(help.contains(usage.form), "{help}");
            }
            for option in magic.options {
                assert!(help.contains(&typed(option)) && help.contains(option.help), "{help}");
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
    fn the_documentation_is_the_tables() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/magics.md");
        let made = documentation();
        if std::env::var_os("UPDATE_DOCUMENTATION").is_some() {
            std::fs::write(path, &made).expect("docs/magics.md can be written");
        }
        let there = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            there == made,
            "docs/magics.md is not what the table says: run this test with UPDATE_DOCUMENTATION=1"
        );
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
        if std::env::var_os("UPDATE_DOCUMENTATION").is_some() {
            let made = format!("\n{}", markdown_table());
            std::fs::write(path, readme.replacen(shown, &made, 1)).expect("README.md can be written");
            return;
        }
        assert_eq!(shown.trim(), markdown_table().trim(), "put this between the two lines of README.md");
    }
}
