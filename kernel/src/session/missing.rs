//! A name that engines do not know: the notebook's own Python is asked whether it does, and a hint says so, once.
//!
//! **Invariant**: nobody is asked unless a cell has ended with a `NameError` of a name that stands in it, and nobody
//! again when the hint has been given; the cell's end waits for the answer no longer than [`PATIENCE`].

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fabric::message::Rank;
use fabric::message::local::Found;
use fabric::message::report::Raised;

use crate::cluster::named;

/// How long the notebook's own Python may take to answer.
const PATIENCE: Duration = Duration::from_millis(300);

/// A name that engines do not know.
#[derive(Debug, PartialEq)]
pub(super) struct Missing {
    name: String,
    /// The engines that said so.
    on: Vec<Rank>,
    /// They are all that the cell ran on.
    everywhere: bool,
}

/// The same, while the notebook's own Python is asked.
pub(super) struct Search {
    missing: Missing,
    until: Instant,
    found: Option<Found>,
}

impl Missing {
    /// The first name that the code reads and engines did not know.
    pub(super) fn of(code: &str, raised: &BTreeMap<Rank, Raised>, targets: usize) -> Option<Self> {
        let unknown = |raised: &Raised| name(raised).filter(|_| is_in_a_cell(raised)).map(str::to_owned);
        let name = raised.values().filter_map(unknown).find(|name| reads(code, name))?;
        let on: Vec<Rank> = raised
            .iter()
            .filter(|(_, raised)| unknown(raised).as_ref() == Some(&name))
            .map(|(rank, _)| *rank)
            .collect();
        Some(Self { name, everywhere: on.len() == targets, on })
    }

    /// What to do about it, where the notebook has something of that name.
    fn hint(&self, found: &Found) -> Option<String> {
        let Self { name, on, everywhere } = self;
        let place = if *everywhere { String::new() } else { format!(", not on {}", named(on)) };
        let only = if *everywhere { "only " } else { "" };
        Some(match found {
            Found::Nothing => return None,
            Found::Module(module) => {
                let import = if module == name {
                    format!("import {name}")
                } else {
                    format!("import {module} as {name}")
                };
                format!("Hint: `{name}` is {only}imported in the notebook{place}: `%px {import}`.")
            }
            Found::Value => format!(
                "Hint: `{name}` is {only}defined in the notebook{place}: `rc[:].push(dict({name}={name}))` or \
                 `%%px --local`."
            ),
        })
    }
}

impl Search {
    pub(super) fn begin(missing: Missing, now: Instant) -> Self {
        Self { missing, until: now + PATIENCE, found: None }
    }

    pub(super) fn name(&self) -> &str {
        &self.missing.name
    }

    pub(super) fn deadline(&self) -> Instant {
        self.until
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.found.is_some() || self.until <= now
    }

    pub(super) fn answered(&mut self, name: &str, found: &Found) {
        if name == self.missing.name {
            self.found = Some(found.clone());
        }
    }

    /// The line to show, if there is one.
    pub(super) fn hint(&self) -> Option<String> {
        self.missing.hint(self.found.as_ref()?)
    }
}

/// The name of which Python says that it is not defined.
fn name(raised: &Raised) -> Option<&str> {
    let rest = raised.evalue.strip_prefix("name '").filter(|_| raised.ename == "NameError")?;
    let (name, rest) = rest.split_once('\'')?;
    rest.starts_with(" is not defined").then_some(name)
}

/// Whether it was raised in code that a cell has defined, and not in a module, whose names are its own.
fn is_in_a_cell(raised: &Raised) -> bool {
    let mut frames = raised.traceback.iter().rev().map(|frame| frame.trim_start_matches(is_colour));
    frames
        .find(|frame| frame.starts_with("Cell ") || frame.starts_with("File "))
        .is_none_or(|frame| frame.starts_with("Cell "))
}

/// Of what a colour is made: `ESC[0;31m`.
fn is_colour(c: char) -> bool {
    matches!(c, '\x1b' | '[' | ';' | 'm' | '0'..='9')
}

/// Whether a name stands in the code, as a word of its own.
fn reads(code: &str, name: &str) -> bool {
    let continues = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| {
        !code[..at].ends_with(|c| continues(c) || c == '.') && !code[at + name.len()..].starts_with(continues)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(evalue: &str) -> Raised {
        Raised { ename: "NameError".to_owned(), evalue: evalue.to_owned(), traceback: vec![] }
    }

    #[test]
    fn a_name_that_the_code_reads_is_sought() {
        for (code, evalue, expect) in [
            ("print(x)", "name 'x' is not defined", Some("x")),
            ("x", "name 'x' is not defined. Did you mean: 'y'?", Some("x")),
            // It is the name of something else, or in code that the cell calls.
            ("f(xx, a.x)", "name 'x' is not defined", None),
            ("f()", "name 'x' is not defined", None),
            ("été = 2 * thé", "name 'thé' is not defined", Some("thé")),
            ("x", "cannot access free variable 'x'", None),
        ] {
            let raised = BTreeMap::from([(0, unknown(evalue))]);
            let name = Missing::of(code, &raised, 1).map(|missing| missing.name);
            assert_eq!(name.as_deref(), expect, "{code}: {evalue}");
        }
        let frames = |last: &str| {
            vec!["Cell \x1b[32mIn[3]\x1b[39m, line 1".to_owned(), last.to_owned(), "x".to_owned()]
        };
        for (last, sought) in
            [("\x1b[0;36mFile \x1b[0mlib.py:3, in f()", false), ("Cell In[2], line 1, in f()", true)]
        {
            let raised = Raised { traceback: frames(last), ..unknown("name 'x' is not defined") };
            assert_eq!(Missing::of("x; f()", &BTreeMap::from([(0, raised)]), 1).is_some(), sought, "{last}");
        }
        let other = Raised { ename: "ValueError".to_owned(), ..unknown("name 'x' is not defined") };
        assert_eq!(Missing::of("x", &BTreeMap::from([(0, other)]), 1), None);
    }

    #[test]
    fn the_hint_says_what_to_do_about_it() {
        let raised: BTreeMap<_, _> = (0..2).map(|rank| (rank, unknown("name 'np' is not defined"))).collect();
        for (targets, found, expect) in [
            (2, Found::Nothing, None),
            (
                2,
                Found::Value,
                Some("`np` is only defined in the notebook: `rc[:].push(dict(np=np))` or `%%px --local`."),
            ),
            (
                2,
                Found::Module("numpy".to_owned()),
                Some("`np` is only imported in the notebook: `%px import numpy as np`."),
            ),
            (
                3,
                Found::Module("np".to_owned()),
                Some("`np` is imported in the notebook, not on engines 0, 1: `%px import np`."),
            ),
        ] {
            let missing = Missing::of("np.zeros(3)", &raised, targets).unwrap();
            assert_eq!(missing.hint(&found), expect.map(|text| format!("Hint: {text}")));
        }
    }
}
