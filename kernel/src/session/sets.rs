//! The named sets of the magics: `%px`, and each `%px_x` that was activated, with targets, defaults and a last result
//! of its own; and which of them runs whole cells.
//!
//! **Invariant**: the set without a suffix is always there.

use std::collections::BTreeMap;

use fabric::message::Rank;
use magics::{AutopxSwitch, Config, Mode};

/// All sets.
#[derive(Debug)]
pub(crate) struct Sets {
    sets: BTreeMap<String, Set>,
    /// Their suffixes, but for the empty one.
    suffixes: Vec<String>,
    autopx: Option<String>,
    /// No cell has run by itself since that was switched on.
    unannounced: bool,
}

/// One set.
#[derive(Debug, Default)]
pub(crate) struct Set {
    /// What its view says.
    pub(super) view: Config,
    /// What `%pxconfig` has said since.
    pub(super) config: Config,
    /// The task of its last cell, by its name in the client API, and its targets.
    pub(super) last: Option<(String, Vec<Rank>)>,
}

impl Default for Sets {
    fn default() -> Self {
        let sets = BTreeMap::from([(String::new(), Set::default())]);
        Self { sets, suffixes: Vec::new(), autopx: None, unannounced: false }
    }
}

impl Sets {
    /// What decides what a cell means.
    pub(super) fn mode(&self) -> Mode<'_> {
        Mode { autopx: self.autopx.as_deref(), suffixes: &self.suffixes }
    }

    pub(super) fn suffixes(&self) -> &[String] {
        &self.suffixes
    }

    /// The set with that suffix; a new one where there is none.
    pub(super) fn set(&mut self, suffix: &str) -> &mut Set {
        if !self.sets.contains_key(suffix) {
            self.suffixes.push(suffix.to_owned());
        }
        self.sets.entry(suffix.to_owned()).or_default()
    }

    /// What a cell of that set does where its own line does not say.
    pub(super) fn defaults(&self, suffix: &str) -> Config {
        let set = self.sets.get(suffix);
        set.map(|set| set.config.clone().over(&set.view)).unwrap_or_default()
    }

    /// A view takes the set over; the sticky targets of before were another view's.
    pub(super) fn activate(&mut self, suffix: &str, view: Config) {
        let set = self.set(suffix);
        set.config.targets = None;
        set.config.block = None;
        set.view = view;
    }

    /// Whether the cell that is about to run is the first one that runs by itself; true once.
    pub(super) fn announces(&mut self) -> bool {
        std::mem::take(&mut self.unannounced)
    }

    /// Switches automatic parallel mode; the line that says so.
    pub(super) fn switch(&mut self, suffix: &str, switch: AutopxSwitch) -> String {
        let before = self.autopx.take();
        self.autopx = switch.apply(suffix, before.as_deref());
        self.unannounced = self.autopx.is_some();
        match (&self.autopx, before) {
            (Some(on), _) => format!("%autopx{on} enabled\n"),
            (None, off) => format!("%autopx{} disabled\n", off.as_deref().unwrap_or(suffix)),
        }
    }
}
