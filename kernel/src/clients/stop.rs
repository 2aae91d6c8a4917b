//! Ending tasks: taking back those that have not begun, interrupting those that run.

use std::collections::HashMap;

use fabric::message::Rank;
use fabric::message::client::{Placement, Submission, Told};
use fabric::message::report::{Event, Outcome};
use fabric::message::task::TaskId;
use serde_json::Value;

use super::files::files_of_work;
use super::named::{Meant, meant};
use super::{ClientId, Clients, Core};

impl Clients {
    /// Takes back what has not begun of these tasks and parts of tasks. Who asked is answered when every engine has
    /// said what that was.
    pub(super) fn abort(&mut self, client: ClientId, ask: u64, ids: &[String], core: &mut Core<'_>) {
        let wanted = meant(ids);
        self.take_back(&wanted);
        let tasks = self.meant_by(&wanted);
        let parts = tasks.into_iter().map(|(task, meant)| (task, meant.ranks()));
        let undecided = core.cluster.cancel(parts, core.out);
        if undecided.is_empty() {
            self.answer(client, ask, Ok(Value::Null));
        } else {
            self.questions.undecided(client, ask, undecided);
        }
    }

    /// Interrupts what runs and takes back what does not.
    pub(super) fn interrupt(&mut self, names: &[String], core: &mut Core<'_>) {
        let wanted = meant(names);
        self.take_back(&wanted);
        // The last one first: what stands behind one that is interrupted begins at once.
        for (task, _) in self.meant_by(&wanted).into_iter().rev() {
            core.cluster.interrupt(task, core.now, core.out);
        }
    }

    /// What no engine has seen ends here.
    fn take_back(&mut self, wanted: &HashMap<&str, Meant>) {
        let waiting = std::mem::take(&mut self.waiting);
        for (client, submission) in waiting {
            let kept = match wanted.get(submission.name.as_str()) {
                None => Some(submission),
                Some(meant) => self.take_back_waiting(submission, meant),
            };
            self.waiting.extend(kept.map(|submission| (client, submission)));
        }
        for (name, _) in wanted.iter().filter(|(_, meant)| **meant == Meant::Whole) {
            self.stop_balanced(name);
        }
    }

    /// What is left of a task that waits for engines.
    fn take_back_waiting(&mut self, mut submission: Submission, meant: &Meant) -> Option<Submission> {
        let name = submission.name.clone();
        match (&mut submission.placement, meant) {
            (Placement::Each { targets }, meant) => {
                let (taken, kept): (Vec<Rank>, _) = targets.iter().partition(|rank| meant.has(**rank));
                *targets = kept;
                let is_over = targets.is_empty();
                taken.into_iter().for_each(|rank| self.part_aborted(&name, rank));
                if !is_over {
                    return Some(submission);
                }
            }
            (Placement::Any { .. }, Meant::Whole) => self.part_aborted(&name, 0),
            (Placement::Any { .. }, Meant::Parts(_)) => return Some(submission),
        }
        self.close(files_of_work(&submission.work));
        self.spread(Told::Over { name });
        None
    }

    /// A balanced task that no engine has seen ends.
    pub(super) fn aborted(&mut self, name: String) {
        self.part_aborted(&name, 0);
        self.spread(Told::Over { name });
    }

    fn part_aborted(&mut self, name: &str, rank: Rank) {
        let event = Event::Done { outcome: Outcome::Aborted, count: 0, started: 0.0, completed: 0.0 };
        self.spread(Told::Report { name: name.to_owned(), rank, event });
    }

    fn meant_by<'a>(&self, wanted: &'a HashMap<&str, Meant>) -> Vec<(TaskId, &'a Meant)> {
        let flying = self.flying.iter();
        let meant = flying.filter_map(|(task, flying)| Some((*task, wanted.get(flying.name.as_str())?)));
        let mut meant: Vec<_> = meant.collect();
        meant.sort_unstable_by_key(|(task, _)| *task);
        meant
    }
}
