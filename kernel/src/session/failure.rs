//! Many engines' errors as one: each distinct traceback once, with the ranks that raised it.

use std::collections::BTreeMap;

use fabric::message::Rank;
use fabric::message::local::Answer;
use fabric::message::report::Raised;
use serde_json::{Value, json};

use crate::cluster::named;
use crate::request::error_content;

/// So many errors are shown in full where each is shown by itself.
const IN_FULL: usize = 4;

/// An engine that did not come to the end of its task.
pub(super) struct Lost {
    pub(super) rank: Rank,
    pub(super) why: String,
    /// It lives and goes on.
    pub(super) lives: bool,
}

/// Why a run failed.
pub(super) enum Failure {
    /// The words after a magic make no sense.
    Usage(String),
    /// Code raised, or engines are not there.
    Raised {
        /// As it is shown.
        shown: Raised,
        /// What each engine raised.
        each: Vec<(Rank, Raised)>,
    },
    /// The user ended it before it had begun.
    Interrupted(String),
    /// The local process raised, and has shown it.
    Local,
}

impl Failure {
    /// There are no engines to run it, or they are lost.
    pub(super) fn engines(reason: String) -> Self {
        let traceback = vec![format!("\x1b[0;31mEngineError\x1b[0m: {reason}")];
        Failure::shown_as(Raised { ename: "EngineError".to_owned(), evalue: reason, traceback })
    }

    fn shown_as(shown: Raised) -> Self {
        Failure::Raised { shown, each: Vec::new() }
    }

    /// The same, with what each engine raised.
    pub(super) fn with_each(mut self, engines: Vec<(Rank, Raised)>) -> Self {
        if let Failure::Raised { each, .. } = &mut self {
            *each = engines;
        }
        self
    }

    /// How a task ended whose engines raised or were lost; `None` when it ended well.
    pub(super) fn of_task(
        raised: BTreeMap<Rank, Raised>,
        lost: Vec<Lost>,
        interrupted: bool,
        single: bool,
    ) -> Option<Self> {
        let died = lost.iter().any(|lost| !lost.lives);
        let groups = group(&raised);
        let mut traceback: Vec<String> =
            groups.iter().flat_map(|(ranks, raised)| show(ranks, raised)).collect();
        traceback
            .extend(sentences(&lost).into_iter().map(|why| format!("\x1b[0;31mEngineError\x1b[0m: {why}")));
        if died {
            traceback.push(
                "`%engines restart` brings all engines back; until then the others keep their variables."
                    .to_owned(),
            );
        }
        let evalue = sentences(&lost).first().map(|why| why.lines().next().unwrap_or_default().to_owned());
        let (ename, evalue) = match (&groups[..], evalue) {
            (_, Some(why)) if died => ("EngineError".to_owned(), why),
            (_, why) if interrupted => {
                let ranks: Vec<Rank> = raised.keys().copied().collect();
                ("KeyboardInterrupt".to_owned(), why.unwrap_or_else(|| named(&ranks)))
            }
            ([], None) => return None,
            ([], Some(why)) => ("EngineError".to_owned(), why),
            ([(_, raised)], None) if single => (raised.ename.clone(), raised.evalue.clone()),
            _ => ("CompositeError".to_owned(), composite(&raised)),
        };
        Some(Failure::shown_as(Raised { ename, evalue, traceback }))
    }

    /// The same, every engine's error by itself, as ipyparallel's `CompositeError` shows them.
    pub(super) fn in_detail(raised: BTreeMap<Rank, Raised>, lost: Vec<Lost>, single: bool) -> Option<Self> {
        let mut traceback: Vec<String> = Vec::new();
        for (rank, raised) in raised.iter().take(IN_FULL) {
            traceback.push(format!("\x1b[0;31m[{rank}:execute]\x1b[0m: "));
            traceback.extend(raised.traceback.iter().cloned());
            traceback.push(String::new());
        }
        if raised.len() > IN_FULL {
            traceback.push(format!("... {} more exceptions ...", raised.len() - IN_FULL));
        }
        let failure = Failure::of_task(raised, lost, false, single)?;
        Some(match failure {
            Failure::Raised { shown, .. } if !traceback.is_empty() => {
                Failure::shown_as(Raised { traceback, ..shown })
            }
            other => other,
        })
    }

    /// A task was interrupted because its time was up: `verdict` says how long that was, and where the engines were.
    pub(super) fn timeout(verdict: Vec<String>, raised: BTreeMap<Rank, Raised>, lost: Vec<Lost>) -> Self {
        let evalue = verdict.first().cloned().unwrap_or_default();
        let mut traceback = vec![format!("\x1b[0;31mTimeoutError\x1b[0m: {evalue}")];
        traceback.extend(verdict.into_iter().skip(1).map(|line| format!("  {line}")));
        let others = raised.into_iter().filter(|(_, raised)| raised.ename != "KeyboardInterrupt").collect();
        traceback.extend(group(&others).iter().flat_map(|(ranks, raised)| show(ranks, raised)));
        traceback.extend(sentences(&lost).into_iter().map(str::to_owned));
        Failure::shown_as(Raised { ename: "TimeoutError".to_owned(), evalue, traceback })
    }

    /// The content of the `error` message that shows it, unless it has been shown.
    pub(super) fn shown(&self) -> Option<Value> {
        match self {
            Failure::Local => None,
            Failure::Usage(text) => {
                Some(error_content("UsageError", text, &[format!("\x1b[0;31mUsageError\x1b[0m: {text}")]))
            }
            Failure::Raised { shown, .. } => {
                Some(error_content(&shown.ename, &shown.evalue, &shown.traceback))
            }
            Failure::Interrupted(when) => {
                let line = format!("\x1b[0;31mKeyboardInterrupt\x1b[0m: {when}");
                Some(error_content("KeyboardInterrupt", when, &[line]))
            }
        }
    }

    /// The content of the `execute_reply`.
    pub(super) fn reply(&self) -> Value {
        self.shown().unwrap_or_else(|| json!({"status": "error", "ename": "", "evalue": "", "traceback": []}))
    }

    pub(super) fn into_answer(self) -> Answer {
        match self {
            Failure::Usage(text) => Answer::Usage(text),
            Failure::Raised { shown, .. } if shown.ename == "KeyboardInterrupt" => Answer::Interrupted,
            Failure::Raised { shown, each } => Answer::Failed { shown, each },
            Failure::Interrupted(_) => Answer::Interrupted,
            Failure::Local => Answer::Done,
        }
    }
}

/// What each engine raised, the lost ones among them.
pub(super) fn each(raised: &BTreeMap<Rank, Raised>, lost: &[Lost]) -> Vec<(Rank, Raised)> {
    let gone = lost.iter().map(|lost| {
        let ename = if lost.lives { "KeyboardInterrupt" } else { "EngineError" };
        (lost.rank, Raised { ename: ename.to_owned(), evalue: lost.why.clone(), traceback: Vec::new() })
    });
    let mut each: Vec<_> = raised.iter().map(|(rank, raised)| (*rank, raised.clone())).chain(gone).collect();
    each.sort_by_key(|(rank, _)| *rank);
    each
}

/// The same exception of several ranks once, in the order of its first rank.
fn group(raised: &BTreeMap<Rank, Raised>) -> Vec<(Vec<Rank>, &Raised)> {
    let mut groups: Vec<(Raised, Vec<Rank>, &Raised)> = Vec::new();
    for (rank, raised) in raised {
        let key = uncounted(raised);
        match groups.iter_mut().find(|(known, ..)| *known == key) {
            Some((_, ranks, _)) => ranks.push(*rank),
            None => groups.push((key, vec![*rank], raised)),
        }
    }
    groups.into_iter().map(|(_, ranks, raised)| (ranks, raised)).collect()
}

/// An exception without the engine's own execution count, which IPython puts into tracebacks
/// (`Cell In[7], line 1`) and into file names (`<ipython-input-7-…>`).
fn uncounted(raised: &Raised) -> Raised {
    let strip = |text: &String| without_number_after(&without_number_after(text, "In["), "ipython-input-");
    Raised {
        ename: raised.ename.clone(),
        evalue: strip(&raised.evalue),
        traceback: raised.traceback.iter().map(strip).collect(),
    }
}

fn without_number_after(text: &str, mark: &str) -> String {
    let mut parts = text.split(mark);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + mark + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

fn show(ranks: &[Rank], raised: &Raised) -> Vec<String> {
    let head = format!("\x1b[0;31m[{}]\x1b[0m {}: {}", named(ranks), raised.ename, raised.evalue);
    std::iter::once(head).chain(raised.traceback.iter().cloned()).collect()
}

/// What ipyparallel's `CompositeError` says, for code that reads it.
fn composite(raised: &BTreeMap<Rank, Raised>) -> String {
    let lines =
        raised.iter().map(|(rank, raised)| format!("\n[{rank}:execute]{}: {}", raised.ename, raised.evalue));
    std::iter::once("one or more exceptions raised in: %px".to_owned()).chain(lines).collect()
}

/// Each distinct sentence about lost engines once, those of the dead first.
fn sentences(lost: &[Lost]) -> Vec<&str> {
    let mut sentences: Vec<_> = lost.iter().map(|lost| (lost.lives, lost.rank, lost.why.as_str())).collect();
    sentences.sort_unstable();
    let mut distinct: Vec<&str> = Vec::new();
    for (_, _, why) in sentences {
        if !distinct.contains(&why) {
            distinct.push(why);
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raised(ename: &str) -> Raised {
        Raised { ename: ename.to_owned(), evalue: "why".to_owned(), traceback: vec![format!("in {ename}")] }
    }

    fn failure(
        raised: BTreeMap<Rank, Raised>,
        lost: Vec<Lost>,
        interrupted: bool,
        single: bool,
    ) -> Option<Raised> {
        match Failure::of_task(raised, lost, interrupted, single)? {
            Failure::Raised { shown, .. } => Some(shown),
            _ => panic!("a task fails by raising"),
        }
    }

    #[test]
    fn the_same_error_is_shown_once_with_its_ranks() {
        let all = (0..4).map(|rank| (rank, raised(if rank == 1 { "B" } else { "A" }))).collect();
        let got = failure(all, vec![], false, false).unwrap();
        assert_eq!(got.ename, "CompositeError");
        let text = got.traceback.join("\n");
        assert_eq!(text.matches("in A").count(), 1);
        assert!(text.contains("[engines 0, 2, 3]") && text.contains("[engine 1]"), "{text}");
    }

    #[test]
    fn the_engines_own_counts_make_no_difference() {
        let at = |count: u32| Raised {
            evalue: format!("expected ':' (<ipython-input-{count}-8afe>, line 1)"),
            traceback: vec![format!("Cell \x1b[32mIn[{count}]\x1b[39m, line 1"), "1/0".to_owned()],
            ..raised("A")
        };
        let all = BTreeMap::from([(0, at(7)), (1, at(12)), (2, raised("A"))]);
        let ranks: Vec<_> = group(&all).into_iter().map(|(ranks, _)| ranks).collect();
        assert_eq!(ranks, [vec![0, 1], vec![2]]);
    }

    #[test]
    fn one_target_raises_as_itself() {
        let got = failure(BTreeMap::from([(2, raised("A"))]), vec![], false, true).unwrap();
        assert_eq!((got.ename.as_str(), got.evalue.as_str()), ("A", "why"));
    }

    #[test]
    fn a_death_is_the_error() {
        let lost = vec![Lost { rank: 3, why: "engine 3 was killed".to_owned(), lives: false }];
        let got = failure(BTreeMap::from([(0, raised("KeyboardInterrupt"))]), lost, false, false).unwrap();
        assert_eq!((got.ename.as_str(), got.evalue.as_str()), ("EngineError", "engine 3 was killed"));
    }

    #[test]
    fn an_interrupt_names_the_ranks() {
        let all = (0..2).map(|rank| (rank, raised("KeyboardInterrupt"))).collect();
        let got = failure(all, vec![], true, false).unwrap();
        assert_eq!((got.ename.as_str(), got.evalue.as_str()), ("KeyboardInterrupt", "engines 0, 1"));
        assert!(failure(BTreeMap::new(), vec![], false, false).is_none());
    }
}
