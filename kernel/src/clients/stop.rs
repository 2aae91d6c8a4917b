//! Ending tasks: taking back those that have not begun, interrupting those that run.

use std::collections::{HashSet, VecDeque};

use fabric::message::client::Told;
use fabric::message::report::{Event, Outcome};
use fabric::message::task::TaskId;
use serde_json::Value;

use super::{ClientId, Clients, Core};

impl Clients {
    /// Takes back what has not begun. Who asked is answered when every engine has said what that was.
    pub(super) fn abort(&mut self, client: ClientId, ask: u64, names: &[String], core: &mut Core<'_>) {
        self.take_back_waiting(names);
        names.iter().for_each(|name| self.stop_balanced(name));
        let tasks = self.tasks_named(names);
        let undecided = core.cluster.cancel(&tasks, core.out);
        if undecided.is_empty() {
            self.answer(client, ask, Ok(Value::Null));
        } else {
            self.questions.undecided(client, ask, undecided);
        }
    }

    /// Interrupts what runs and takes back what does not.
    pub(super) fn interrupt(&mut self, names: &[String], core: &mut Core<'_>) {
        self.take_back_waiting(names);
        names.iter().for_each(|name| self.stop_balanced(name));
        for task in self.tasks_named(names) {
            core.cluster.interrupt(task, core.now, core.out);
        }
    }

    /// What waits for engines ends here.
    fn take_back_waiting(&mut self, names: &[String]) {
        let names: HashSet<&String> = names.iter().collect();
        let waiting = std::mem::take(&mut self.waiting);
        let (aborted, kept): (VecDeque<_>, VecDeque<_>) =
            waiting.into_iter().partition(|(_, submission)| names.contains(&submission.name));
        self.waiting = kept;
        for (_, submission) in aborted {
            let name = submission.name.clone();
            let files = super::files::files_of_work(&submission.work);
            self.aborted(name);
            self.close(files);
        }
    }

    /// A task that no engine has ever seen ends.
    pub(super) fn aborted(&mut self, name: String) {
        let event = Event::Done { outcome: Outcome::Aborted, count: 0, started: 0.0, completed: 0.0 };
        let rank = self.store.get(&name).and_then(super::results::Record::first_target).unwrap_or_default();
        self.spread(Told::Report { name: name.clone(), rank, event });
        self.spread(Told::Over { name });
    }

    fn tasks_named(&self, names: &[String]) -> Vec<TaskId> {
        let names: HashSet<&String> = names.iter().collect();
        let named = self.flying.iter().filter(|(_, flying)| names.contains(&flying.name));
        let mut tasks: Vec<TaskId> = named.map(|(task, _)| *task).collect();
        tasks.sort_unstable();
        tasks
    }
}
