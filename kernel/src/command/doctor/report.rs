//! What the doctor says: a line as soon as it is known, or everything as JSON at the end.

use super::super::say::say;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use serde::Serialize;
use serde_json::json;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// It works, and could be better or may surprise.
    Note,
    /// Something will not work.
    Wrong,
}

#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    state: State,
    text: String,
    /// What to do.
    advice: Option<String>,
}

/// What was found so far.
#[derive(Debug)]
pub(super) struct Report {
    json: bool,
    colour: bool,
    findings: Vec<Finding>,
}

impl Report {
    /// Begins to report.
    pub(super) fn begin(json: bool) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if !json {
            say!("Parallel Python (Rust), build {}", fabric::message::BUILD);
        }
        Self { json, colour: !plain && std::io::stdout().is_terminal(), findings: Vec::new() }
    }

    /// Something is as it should be.
    pub(super) fn ok(&mut self, what: &'static str, text: impl Into<String>) {
        self.add(what, State::Ok, text.into(), None);
    }

    /// Something could be better.
    pub(super) fn note(&mut self, what: &'static str, text: impl Into<String>, advice: impl Into<String>) {
        self.add(what, State::Note, text.into(), Some(advice.into()));
    }

    /// Something will not work.
    pub(super) fn wrong(&mut self, what: &'static str, text: impl Into<String>, advice: impl Into<String>) {
        self.add(what, State::Wrong, text.into(), Some(advice.into()));
    }

    fn add(&mut self, what: &'static str, state: State, text: String, advice: Option<String>) {
        let advice = advice.filter(|advice| !advice.is_empty());
        if !self.json {
            say!("  {} {what:<11} {}", self.mark(state), indented(&text));
            if let Some(advice) = &advice {
                say!("                    → {}", indented(advice));
            }
        }
        self.findings.push(Finding { what, state, text, advice });
    }

    fn mark(&self, state: State) -> String {
        let (word, colour) = match state {
            State::Ok => ("ok   ", 32),
            State::Note => ("note ", 33),
            State::Wrong => ("wrong", 31),
        };
        if self.colour { format!("\x1b[{colour}m{word}\x1b[0m") } else { word.to_owned() }
    }

    /// Says how it stands.
    pub(super) fn end(self) -> ExitCode {
        let count = |state| self.findings.iter().filter(|finding| finding.state == state).count();
        let wrong = count(State::Wrong);
        if self.json {
            let report =
                json!({"build": fabric::message::BUILD, "ok": wrong == 0, "findings": self.findings});
            say!("{report:#}");
        } else {
            match wrong {
                0 => say!("Everything that notebooks need is there."),
                1 => say!("One thing is wrong."),
                _ => say!("{wrong} things are wrong."),
            }
        }
        if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Lines after the first stand below it.
fn indented(text: &str) -> String {
    text.trim().replace('\n', "\n                      ")
}
