//! What is told, to whom: everything that happens to a task is remembered and told to all who watch it.

use fabric::message::client::Told;
use fabric::message::report::{Event, Raised};
use fabric::message::task::TaskId;
use serde_json::Value;

use super::{ClientId, Clients, Effect};
use crate::cluster::Cluster;

impl Clients {
    /// Tells whoever watches a task, and remembers it.
    pub(super) fn publish(&mut self, task: TaskId, told: Told) {
        match &told {
            Told::Report { rank, event: Event::Done { .. }, .. } | Told::Lost { rank, .. } => {
                self.decided(task, *rank);
            }
            Told::Over { .. } => {
                if let Some(flying) = self.flying.remove(&task) {
                    self.expect_more(task, &flying.name);
                    self.close(flying.files);
                }
            }
            _ => {}
        }
        self.spread(told);
    }

    /// Tells whoever watches the task that is spoken of, and remembers it.
    pub(super) fn spread(&mut self, told: Told) {
        let name = match &told {
            Told::Report { name, .. }
            | Told::Lost { name, .. }
            | Told::Refused { name, .. }
            | Told::Over { name } => name,
            Told::Engines { .. } | Told::Answer { .. } => return,
        };
        if matches!(told, Told::Over { .. } | Told::Refused { .. }) {
            self.endings.push_back(name.clone());
            self.unbalanced = true;
        }
        if let Told::Report { rank, event: Event::Done { .. }, .. } | Told::Lost { rank, .. } = &told
            && !self.dependents.is_empty()
        {
            self.endings.push_back(format!("{name}@{rank}"));
            self.unbalanced = true;
        }
        let watchers = self.store.get(name).map(|record| record.watchers.clone()).unwrap_or_default();
        let files = self.store.note(name, &told);
        for client in watchers {
            self.tell(client, told.clone());
        }
        self.close(files);
    }

    pub(super) fn recall(&mut self, client: ClientId, ask: u64, names: &[String], cluster: &Cluster) {
        let records = self.records(Some(names), cluster);
        self.answer(client, ask, Ok(records));
        for name in names {
            for told in self.store.replay(name) {
                self.tell(client, told);
            }
            self.store.watch(name, client);
        }
    }

    pub(super) fn answer(&mut self, client: ClientId, ask: u64, answer: Result<Value, String>) {
        let answer = match answer {
            Ok(value) => Ok(value.to_string().into_bytes().into()),
            Err(evalue) => Err(Raised { ename: "EngineError".to_owned(), evalue, traceback: Vec::new() }),
        };
        self.tell(client, Told::Answer { ask, answer });
    }

    pub(super) fn tell(&mut self, client: ClientId, told: Told) {
        self.effects.push(Effect::Tell(client, told));
    }

    pub(super) fn close(&mut self, files: Vec<u32>) {
        if !files.is_empty() {
            self.effects.push(Effect::Close(files));
        }
    }
}
