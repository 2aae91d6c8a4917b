//! The named sets of the magics: `%px`, and each `%px_x` that was activated, with targets, defaults and a last result
//! of its own; and which of them runs whole cells.
//!
//! **Invariant**: the set without a suffix is always there.

use std::collections::BTreeMap;

use fabric::message::local::ViewChange;
use fabric::message::{Json, Rank};
use magics::{AutopxSwitch, Config, Mode, Targets};
use serde_json::json;

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
    /// Its last cell.
    pub(super) last: Option<Last>,
}

/// The last cell of a set.
#[derive(Debug, Clone)]
pub(super) struct Last {
    /// The task, by its name in the client API.
    pub(super) name: String,
    pub(super) targets: Vec<Rank>,
    /// The one target was an engine, and no list of one.
    pub(super) single: bool,
}

impl Last {
    /// What the client API is to make of it: with a single target the part of that engine, whose result is no list.
    pub(super) fn result(&self) -> String {
        match self.targets[..] {
            [rank] if self.single => format!("{}@{rank}", self.name),
            _ => self.name.clone(),
        }
    }
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

    /// Sets defaults: what a view has to be told of it, where the set has one.
    pub(super) fn configure(&mut self, suffix: &str, said: Config, ids: &[Rank]) -> Option<ViewChange> {
        let set = self.set(suffix);
        let has_view = set.view.targets.is_some();
        let targets = said.targets.as_ref().and_then(|targets| as_json(targets, ids));
        let change = ViewChange { suffix: suffix.to_owned(), targets, block: said.block };
        set.config = said.over(&set.config);
        (has_view && (change.targets.is_some() || change.block.is_some())).then_some(change)
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

/// Targets as a view has them: a slice is the engines that it means now.
fn as_json(targets: &Targets, ids: &[Rank]) -> Option<Json> {
    let value = match targets {
        Targets::All => json!("all"),
        Targets::One(id) => json!(id),
        Targets::Many(many) => json!(many),
        Targets::Slice { .. } | Targets::Range { .. } => json!(targets.resolve(ids).ok()?.ids),
    };
    Some(Json::from(value.to_string().into_bytes()))
}
