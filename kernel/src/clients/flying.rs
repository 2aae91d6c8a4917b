//! Tasks that engines have, by their numbers: what the cluster notices of them becomes what is told of the tasks
//! by their names. A parallel cell's task is told to those who recalled it, and shown by the session.

use std::collections::HashMap;
use std::time::Instant;

use fabric::message::Rank;
use fabric::message::client::Told;
use fabric::message::report::{Event, Outcome, Raised};
use fabric::message::task::{TaskId, Work};

use super::Clients;
use super::files::files_of_event;
use super::results::New;
use crate::cluster::{self, Notice};

/// A task that engines have.
#[derive(Debug)]
pub(super) struct Flying {
    pub(super) name: String,
    /// The memory files of its submission.
    pub(super) files: Vec<u32>,
    /// The session shows it; here it is only remembered.
    pub(super) cell: bool,
    /// Engines whose value could not be had, and why.
    pub(super) spoiled: HashMap<Rank, String>,
}

impl Clients {
    /// A parallel cell runs as `task`: the name by which clients know it.
    pub fn cell(&mut self, task: TaskId, code: &str, targets: &[Rank], now: Instant) -> String {
        let name = cluster::name_of(task, &self.kernel);
        let work = Work::Execute { code: code.to_owned(), store_history: true, measure: false };
        let (submitted, targets) = (self.time(now), Some(targets.to_vec()));
        let new =
            New { name: &name, label: "%px", work: &work, client: None, asker: None, targets, submitted };
        self.store.open(new);
        let flying = Flying { name: name.clone(), files: Vec::new(), cell: true, spoiled: HashMap::new() };
        self.flying.insert(task, flying);
        name
    }

    /// Something happened to a task of a client.
    pub(super) fn happened(&mut self, task: TaskId, notice: Notice) {
        let Some(flying) = self.flying.get_mut(&task) else { return };
        let name = flying.name.clone();
        let told = match notice {
            Notice::Report { rank, event, .. } => {
                let files = files_of_event(&event);
                let Some(event) = flying.unspoiled(rank, event) else { return self.close(files) };
                Told::Report { name, rank, event }
            }
            Notice::Lost { rank, why, lives, .. } => Told::Lost { name, rank, why, lives },
            Notice::Over { .. } => Told::Over { name },
            _ => return,
        };
        self.publish(task, told);
    }

    /// A cell's task: it is told to those who recalled it, and shown by the session.
    pub(super) fn remember(&mut self, notice: &Notice) {
        let (task, told) = match notice {
            Notice::Report { task, rank, event } => {
                let Some(name) = self.name_of(*task) else { return };
                (*task, Told::Report { name, rank: *rank, event: event.clone() })
            }
            Notice::Lost { task, rank, why, lives } => {
                let Some(name) = self.name_of(*task) else { return };
                (*task, Told::Lost { name, rank: *rank, why: why.clone(), lives: *lives })
            }
            Notice::Over { task } => {
                let Some(name) = self.name_of(*task) else { return };
                (*task, Told::Over { name })
            }
            _ => return,
        };
        self.publish(task, told);
    }

    pub(super) fn name_of(&self, task: TaskId) -> Option<String> {
        self.flying.get(&task).map(|flying| flying.name.clone())
    }
}

impl Flying {
    /// A value that cannot be had makes the task's end an error.
    pub(super) fn unspoiled(&mut self, rank: Rank, event: Event) -> Option<Event> {
        match event {
            Event::Value { payload } | Event::Data { payload } if payload.lost().is_some() => {
                self.spoiled.insert(rank, payload.lost().unwrap_or_default().to_owned());
                None
            }
            Event::Done { outcome: Outcome::Ok, count, started, completed } => {
                let outcome = match self.spoiled.remove(&rank) {
                    None => Outcome::Ok,
                    Some(evalue) => Outcome::Error(Raised {
                        ename: "EngineError".to_owned(),
                        traceback: vec![format!("EngineError: {evalue}")],
                        evalue,
                    }),
                };
                Some(Event::Done { outcome, count, started, completed })
            }
            event => Some(event),
        }
    }
}
