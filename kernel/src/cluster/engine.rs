//! One engine as the kernel knows it, and how it died if it did.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use fabric::message::Rank;
use fabric::message::lifeline::{Ending, Status, ToWorker, WorkerHello};
use fabric::message::task::TaskId;

use super::own::Own;
use super::{Effect, LinkId, Notice, Output};

/// A worker whose connection closed is dead after this time even if its supervisor says nothing.
const VANISHED: Duration = Duration::from_millis(500);

/// One engine: a rank's worker.
#[derive(Debug)]
pub struct Engine {
    /// What it said when it came up.
    pub hello: WorkerHello,
    /// Its process id.
    pub pid: u32,
    /// Its answer to the last question for its status.
    pub status: Option<Status>,
    /// Whether it lives.
    pub state: State,
    /// See [`Engine::tasks`].
    pub(super) tasks: VecDeque<TaskId>,
    pub(super) link: LinkId,
}

/// Whether an engine lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It does.
    Live,
    /// Its connection has closed; how it ended is not known yet.
    Vanished {
        /// When that was.
        since: Instant,
    },
    /// It is dead.
    Dead {
        /// "was killed by signal 9 (SIGKILL)"
        how: String,
    },
}

impl Engine {
    pub(super) fn new(link: LinkId, pid: u32, hello: WorkerHello) -> Self {
        Self { hello, pid, status: None, state: State::Live, tasks: VecDeque::new(), link }
    }

    /// Its id, which is its rank.
    #[must_use]
    pub fn rank(&self) -> Rank {
        self.hello.rank
    }

    /// Whether it can be given tasks.
    #[must_use]
    pub fn lives(&self) -> bool {
        self.state == State::Live
    }

    /// The tasks that it was given and has not ended, in order: the first one runs.
    pub fn tasks(&self) -> impl ExactSizeIterator<Item = &TaskId> {
        self.tasks.iter()
    }

    /// "engine 2 on node7 (pid 4711) was killed by signal 9 (SIGKILL)"
    #[must_use]
    pub fn obituary(&self) -> String {
        let how = match &self.state {
            State::Live => "lives",
            State::Vanished { .. } => "closed its connection",
            State::Dead { how } => how,
        };
        format!("engine {} on {} (pid {}) {how}", self.rank(), self.hello.host, self.pid)
    }

    /// It has done a task, nearly always the first one.
    pub(super) fn drop_task(&mut self, task: TaskId) {
        if let Some(place) = self.tasks.iter().position(|given| *given == task) {
            self.tasks.remove(place);
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Vanished { since } => Some(since + VANISHED),
            _ => None,
        }
    }
}

impl Own {
    pub(super) fn closed(&mut self, link: LinkId, now: Instant, out: &mut Output) {
        if self.gateway == Some(link) {
            self.gateway = None;
            self.lose_gateway(out);
        }
        self.supervisors.retain(|_, supervisor| *supervisor != link);
        if let Some(engine) = self.engines.values_mut().find(|engine| engine.link == link && engine.lives()) {
            engine.state = State::Vanished { since: now };
        }
    }

    /// Rank 0 passes nothing on any more: it dies, or it lives and has left MPI in the middle of a call. What the
    /// others report comes by their lifelines from here on.
    fn lose_gateway(&self, out: &mut Output) {
        let living = self.engines.values().filter(|engine| engine.lives() && engine.rank() != 0);
        let lost = |engine: &Engine| Effect::Worker(engine.link, ToWorker::Lost { ranks: vec![0] });
        if self.phase.is_up() {
            out.effects.extend(living.map(lost));
        }
    }

    pub(super) fn exited(
        &mut self,
        pid: u32,
        ending: Ending,
        last_words: &str,
        line: u32,
        now: Instant,
        out: &mut Output,
    ) {
        let known = self.engines.values().find(|engine| engine.pid == pid).map(Engine::rank);
        match known {
            Some(rank) => self.bury(rank, describe_at(ending, line, last_words), now, out),
            None => self.died_before_hello(pid, &describe(ending, last_words), out),
        }
    }

    pub(super) fn bury_vanished(&mut self, now: Instant, out: &mut Output) {
        let due = |engine: &&Engine| engine.deadline().is_some_and(|deadline| deadline <= now);
        let ranks: Vec<Rank> = self.engines.values().filter(due).map(Engine::rank).collect();
        for rank in ranks {
            self.bury(rank, "disappeared: its connection closed".to_owned(), now, out);
        }
    }

    fn bury(&mut self, rank: Rank, how: String, now: Instant, out: &mut Output) {
        let Some(engine) = self.engines.get_mut(&rank) else { return };
        if matches!(engine.state, State::Dead { .. }) {
            return;
        }
        engine.state = State::Dead { how };
        engine.tasks.clear();
        let obituary = engine.obituary();
        if self.phase.is_up() {
            self.mourn(rank, &obituary, now, out);
            self.ask_for_account(out);
            out.notices.push(Notice::Phase);
        } else {
            self.died_in_launch(&obituary, out);
        }
    }
}

/// "0-3, 7": ranks in ascending order as people write them.
#[must_use]
pub fn listed(ranks: &[Rank]) -> String {
    let runs = ranks.chunk_by(|a, b| a + 1 == *b);
    let text: Vec<String> = runs
        .map(|run| match run {
            [one] => one.to_string(),
            [one, two] => format!("{one}, {two}"),
            [first, .., last] => format!("{first}-{last}"),
            [] => String::new(),
        })
        .collect();
    text.join(", ")
}

/// "engine 3" or "engines 0-2, 5": ranks in ascending order, named as what they are.
#[must_use]
pub fn named(ranks: &[Rank]) -> String {
    format!("engine{} {}", if ranks.len() == 1 { "" } else { "s" }, listed(ranks))
}

pub(crate) fn describe(ending: Ending, last_words: &str) -> String {
    describe_at(ending, 0, last_words)
}

/// How a process ended that ran this line of its cell; 0 for none.
fn describe_at(ending: Ending, line: u32, last_words: &str) -> String {
    let how = match ending {
        Ending::Code(code) => format!("exited with code {code}"),
        Ending::Signal(number) => match signal_name(number) {
            Some(name) => format!("was killed by signal {number} ({name})"),
            None => format!("was killed by signal {number}"),
        },
    };
    let how = if line == 0 { how } else { format!("{how} in line {line} of its cell") };
    match last_words.trim() {
        "" => how,
        words => format!("{how}; its last words:\n{words}"),
    }
}

fn signal_name(number: i32) -> Option<&'static str> {
    Some(match number {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_listed_as_people_write_them() {
        for (ranks, text) in [
            (vec![], ""),
            (vec![3], "3"),
            (vec![0, 1], "0, 1"),
            (vec![0, 1, 2, 3, 7], "0-3, 7"),
            (vec![0, 2, 4, 5, 6], "0, 2, 4-6"),
        ] {
            assert_eq!(listed(&ranks), text);
        }
    }

    #[test]
    fn one_engine_is_named_as_one() {
        assert_eq!(named(&[3]), "engine 3");
        assert_eq!(named(&[0, 1, 2, 5]), "engines 0-2, 5");
    }

    #[test]
    fn an_ending_says_what_was_seen() {
        assert_eq!(describe(Ending::Code(3), " "), "exited with code 3");
        assert_eq!(describe(Ending::Signal(9), ""), "was killed by signal 9 (SIGKILL)");
        assert_eq!(describe_at(Ending::Code(3), 2, ""), "exited with code 3 in line 2 of its cell");
        assert_eq!(describe(Ending::Signal(60), "bye\n"), "was killed by signal 60; its last words:\nbye");
    }
}
