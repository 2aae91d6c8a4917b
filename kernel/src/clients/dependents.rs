//! Tasks that wait for others to end: judged anew whenever one of those has.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::Clients;
use super::balance::Ticket;
use super::depend::{Known, Verdict, judge};
use super::named;

impl Clients {
    /// Tasks have ended: what depends on them is judged anew.
    pub(super) fn follow_endings(&mut self) {
        while let Some(name) = self.endings.pop_front() {
            for ticket in self.dependents.remove(&name).unwrap_or_default() {
                self.judge(ticket);
            }
        }
    }

    /// Whether a task can go to engines by what it depends on.
    pub(super) fn judge(&mut self, ticket: Ticket) {
        let Some(task) = self.balance.get(ticket).filter(|_| self.balance.depends(ticket)) else {
            return;
        };
        let known = |id: &str| {
            let (name, rank) = named::split(id);
            let ending = match rank {
                Some(rank) => self.store.part_ending(name, rank).map(Cow::Owned),
                None => self.store.ending(name).map(Cow::Borrowed),
            };
            match ending {
                _ if name == task.name || !self.store.knows_part(name, rank) => Known::Never,
                Some(ending) => Known::Ended(ending),
                None => Known::Open,
            }
        };
        let after = task.after.as_ref().map(|after| judge(after, known));
        let follow = task.follow.as_ref().map(|follow| judge(follow, known));
        let mut here = None;
        for (verdict, follows) in [(after, false), (follow, true)] {
            match verdict {
                None => {}
                Some(Verdict::Open) => return,
                Some(Verdict::Invalid(why)) => return self.refuse_balanced(ticket, "InvalidDependency", why),
                Some(Verdict::Impossible(why)) => {
                    return self.refuse_balanced(ticket, "ImpossibleDependency", why);
                }
                Some(Verdict::Met(ranks)) if follows => here = Some(ranks),
                Some(Verdict::Met(_)) => {}
            }
        }
        if let Some(ranks) = here.filter(|_| task.follow.as_ref().is_some_and(|one| !one.names.is_empty())) {
            let allowed: BTreeSet<u32> = match &task.targets {
                Some(targets) => ranks.intersection(targets).copied().collect(),
                None => ranks,
            };
            if allowed.is_empty() {
                let why = "the tasks it is to follow ran on no engine that it may run on".to_owned();
                return self.refuse_balanced(ticket, "ImpossibleDependency", why);
            }
            if let Some(task) = self.balance.get_mut(ticket) {
                task.targets = Some(allowed);
            }
        }
        self.balance.release(ticket);
        self.unbalanced = true;
    }
}
