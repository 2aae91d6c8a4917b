//! Engines, queues and records as clients see them.

use std::collections::BTreeMap;

use fabric::message::client::{EngineInfo, Told};
use fabric::message::task::TaskId;
use serde_json::{Value, json};

use super::Clients;
use crate::cluster::{Cluster, Engine, Phase, State};

/// The engines as they are after so many changes.
pub(super) fn engines(cluster: &Cluster, change: u64) -> Told {
    let (phase, reason) = match cluster.phase() {
        Phase::Off => ("off", String::new()),
        Phase::Launching { .. } => ("launching", String::new()),
        Phase::Up => ("up", String::new()),
        Phase::Stopping { .. } => ("stopping", String::new()),
        Phase::Failed { reason } => ("failed", reason.clone()),
    };
    let info = |engine: &Engine| EngineInfo {
        pid: engine.pid,
        hello: engine.hello.clone(),
        died: match &engine.state {
            State::Live => None,
            State::Vanished { .. } => Some("closed its connection".to_owned()),
            State::Dead { how } => Some(how.clone()),
        },
    };
    let caution = cluster.caution().map(str::to_owned);
    let engines = cluster.engines().map(info).collect();
    Told::Engines { change, phase: phase.to_owned(), reason, caution, engines }
}

impl Clients {
    /// What every engine runs, has before it and has done.
    pub(super) fn queues(&self, cluster: &Cluster) -> Value {
        let name = |task: &TaskId| self.flying.get(task).map(|flying| flying.name.as_str());
        let engine = |engine: &Engine| {
            // Balanced ones are named apart.
            let queue: Vec<&str> = engine
                .tasks()
                .filter(|task| self.balance.ticket(**task).is_none())
                .filter_map(name)
                .collect();
            let one = json!({
                "queue": queue,
                "completed": self.store.ended_on(engine.rank()),
                "tasks": self.balance.held_by(engine.rank()),
            });
            (engine.rank().to_string(), one)
        };
        let engines: BTreeMap<String, Value> = cluster.engines().map(engine).collect();
        json!({"unassigned": self.waiting.len() + self.balance.waiting(), "engines": engines})
    }

    /// The records of tasks: of these, or of all that are remembered.
    pub(super) fn records(&self, names: Option<&[String]>, cluster: &Cluster) -> Value {
        let runs = |name: &str, rank| {
            let engine = cluster.engines().find(|engine| engine.rank() == rank);
            let first = engine.and_then(|engine| engine.tasks().next());
            first.and_then(|task| self.flying.get(task)).is_some_and(|flying| flying.name == name)
        };
        self.store.json(names, runs)
    }
}
