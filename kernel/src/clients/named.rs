//! How clients name tasks: by a task's name, or by the id of what one engine does of it, `name@rank`.
//!
//! **Invariant**: pure; names have no `@` of their own.

use std::collections::{BTreeSet, HashMap};

use fabric::message::Rank;

/// A task's name, and the engine if only its part is meant.
pub(super) fn split(id: &str) -> (&str, Option<Rank>) {
    let part = id.rsplit_once('@').and_then(|(name, rank)| Some((name, rank.parse().ok()?)));
    part.map_or((id, None), |(name, rank)| (name, Some(rank)))
}

/// Which engines' parts of a task are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meant {
    /// All.
    Whole,
    /// These.
    Parts(BTreeSet<Rank>),
}

impl Meant {
    pub(super) fn has(&self, rank: Rank) -> bool {
        match self {
            Meant::Whole => true,
            Meant::Parts(ranks) => ranks.contains(&rank),
        }
    }

    /// The engines; `None`: all.
    pub(super) fn ranks(&self) -> Option<&BTreeSet<Rank>> {
        match self {
            Meant::Whole => None,
            Meant::Parts(ranks) => Some(ranks),
        }
    }
}

/// What is meant by these ids, by the tasks' names.
pub(super) fn meant(ids: &[String]) -> HashMap<&str, Meant> {
    let mut found: HashMap<&str, Meant> = HashMap::new();
    for (name, rank) in ids.iter().map(|id| split(id)) {
        let meant = found.entry(name).or_insert_with(|| Meant::Parts(BTreeSet::new()));
        match (meant, rank) {
            (meant, None) => *meant = Meant::Whole,
            (Meant::Parts(ranks), Some(rank)) => drop(ranks.insert(rank)),
            (Meant::Whole, Some(_)) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_of_tasks_or_of_parts() {
        for (id, expected) in [
            ("a_1", ("a_1", None)),
            ("a_1@0", ("a_1", Some(0))),
            ("a_1@17", ("a_1", Some(17))),
            ("a_1@", ("a_1@", None)),
            ("a@b", ("a@b", None)),
            ("", ("", None)),
        ] {
            assert_eq!(split(id), expected);
        }
    }

    #[test]
    fn a_whole_task_is_all_its_parts() {
        let ids = ["a@0", "b", "a@2", "b@1", "c@1", "c"].map(str::to_owned);
        let found = meant(&ids);
        assert_eq!(found["a"], Meant::Parts(BTreeSet::from([0, 2])));
        assert_eq!((&found["b"], &found["c"]), (&Meant::Whole, &Meant::Whole));
        assert!(found["a"].has(2) && !found["a"].has(1) && found["b"].has(7));
    }
}
