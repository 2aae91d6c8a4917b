//! Tasks that wait for others: whether what they depend on has come true, may still do so, or never will.
//!
//! **Invariant**: pure; the same answer for the same endings, and one of [`Verdict::Met`] and
//! [`Verdict::Impossible`] once all that is named has ended.

use std::borrow::Cow;
use std::collections::BTreeSet;

use fabric::message::Rank;
use fabric::message::client::Dependency;

use super::results::Ending;

/// What is known of a task that another depends on.
#[derive(Debug, Clone)]
pub(super) enum Known<'a> {
    /// Nobody knows it.
    Never,
    /// It has not ended.
    Open,
    /// It has ended.
    Ended(Cow<'a, Ending>),
}

/// What a dependency is worth at present.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has come true; the ranks on which a task may run that is to follow.
    Met(BTreeSet<Rank>),
    /// It may come true.
    Open,
    /// It never will, and why.
    Impossible(String),
    /// It names what is no task, and which.
    Invalid(String),
}

/// Judges a dependency by what is known of the tasks it names.
pub(super) fn judge<'a>(dependency: &Dependency, known: impl Fn(&str) -> Known<'a>) -> Verdict {
    let (mut met, mut open, mut missed) = (Vec::new(), 0, Vec::new());
    for name in &dependency.names {
        match known(name) {
            Known::Never => return Verdict::Invalid(format!("it depends on `{name}`, which is no task")),
            Known::Open => open += 1,
            Known::Ended(ending) if counts(dependency, &ending) => met.push(ending),
            Known::Ended(_) => missed.push(name),
        }
    }
    let how = if dependency.success { "has not succeeded" } else { "has not failed" };
    if dependency.all {
        match missed.first() {
            Some(name) => Verdict::Impossible(format!("it depends on `{name}`, which {how}")),
            None if open > 0 => Verdict::Open,
            None => Verdict::Met(common(&met)),
        }
    } else if !met.is_empty() || dependency.names.is_empty() {
        Verdict::Met(met.iter().flat_map(|ending| &ending.ranks).copied().collect())
    } else if open > 0 {
        Verdict::Open
    } else {
        Verdict::Impossible(format!("none of the {} tasks it depends on came true", missed.len()))
    }
}

fn counts(dependency: &Dependency, ending: &Ending) -> bool {
    if ending.success { dependency.success } else { dependency.failure }
}

/// The ranks on which all of them ran.
fn common(endings: &[Cow<'_, Ending>]) -> BTreeSet<Rank> {
    let mut ranks = endings.iter().map(|ending| ending.ranks.clone());
    let first = ranks.next().unwrap_or_default();
    ranks.fold(first, |common, ranks| common.intersection(&ranks).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(all: bool, success: bool, failure: bool, named: &[&str]) -> Verdict {
        let ok = |rank| Ending { success: true, ranks: BTreeSet::from([rank, 9]) };
        let endings = [("ok0", ok(0)), ("ok1", ok(1)), ("bad", Ending { success: false, ..ok(2) })];
        let names = named.iter().map(|name| (*name).to_owned()).collect();
        judge(&Dependency { names, all, success, failure }, |name| match name {
            "open" => Known::Open,
            name => endings
                .iter()
                .find(|(known, _)| *known == name)
                .map_or(Known::Never, |(_, ending)| Known::Ended(Cow::Borrowed(ending))),
        })
    }

    #[test]
    fn dependencies_are_met_wait_or_never_will() {
        let met = |ranks: &[Rank]| Verdict::Met(ranks.iter().copied().collect());
        for (all, success, failure, named, expected) in [
            (true, true, false, &["ok0", "ok1"][..], Some(met(&[9]))),
            (true, true, false, &["ok0"], Some(met(&[0, 9]))),
            (true, true, false, &["ok0", "open"], Some(Verdict::Open)),
            (true, true, false, &["bad", "open"], None),
            (true, true, true, &["ok0", "bad"], Some(met(&[9]))),
            (true, false, true, &["bad"], Some(met(&[2, 9]))),
            (true, false, true, &["ok0"], None),
            (false, true, false, &["bad", "ok0", "open"], Some(met(&[0, 9]))),
            (false, true, false, &["bad", "open"], Some(Verdict::Open)),
            (false, true, false, &["bad"], None),
            (false, true, false, &[], Some(met(&[]))),
            (true, true, false, &[], Some(met(&[]))),
        ] {
            let got = verdict(all, success, failure, named);
            match expected {
                Some(expected) => assert_eq!(got, expected, "{all} {success} {failure} {named:?}"),
                None => assert!(matches!(got, Verdict::Impossible(_)), "{named:?}: {got:?}"),
            }
        }
        assert!(matches!(verdict(true, true, false, &["ok0", "nobody"]), Verdict::Invalid(_)));
    }
}
