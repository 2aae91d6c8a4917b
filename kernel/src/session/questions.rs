//! What code on engines asks the person at the notebook: `input()`, `getpass`, the debugger.
//!
//! ```text
//!  engine ─ Event::Ask ─► Questions ─ input_request ─► the frontend whose cell runs
//!         ◄─ ToWorker::Input ─ lifeline ◄─ input_reply ┘
//! ```
//!
//! **Invariant**: one question at a time is before the person. Engines that ask at once are served in the order of
//! their ranks, and the second question of one comes after the first questions of all. A question ends with its
//! answer, with the task on that engine, or by an interrupt.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fabric::message::local::{Channel, Message};
use fabric::message::report::Event;
use fabric::message::task::TaskId;
use fabric::message::{Buffer, Json, Rank};
use serde_json::{Value, json};

use super::run::Run;
use super::task::TaskRun;
use super::{Current, Session};
use crate::cluster::Notice;
use crate::request::Request;
use crate::wire::Header;

/// How long the first question waits for those of lower ranks.
const AT_ONCE: Duration = Duration::from_millis(100);

const NOT_ALLOWED: &str =
    "this engine asks for input, but the frontend of its cell does not support input requests";
const NOBODY: &str = "this engine asks for input, but no cell waits for it that could pass the question on";

/// Where a question stands among others: its task, how many this engine has asked before in it, the engine.
type Turn = (TaskId, u32, Rank);

/// The questions that have no answer.
#[derive(Debug, Default)]
pub(super) struct Questions {
    waiting: BTreeMap<Turn, Question>,
    asked: Option<(Turn, Question)>,
    /// How many questions each engine has asked in each task that runs.
    count: BTreeMap<(TaskId, Rank), u32>,
}

#[derive(Debug)]
struct Question {
    number: u64,
    prompt: String,
    password: bool,
    asker: Asker,
    /// When it need not wait any more for engines of lower ranks.
    due: Instant,
}

/// The cell on whose behalf code asks.
#[derive(Debug)]
struct Asker {
    identities: Vec<Buffer>,
    parent: Json,
    /// The id of the request that was sent for it.
    msg_id: String,
}

impl Questions {
    pub(super) fn deadline(&self) -> Option<Instant> {
        let due = self.waiting.values().map(|question| question.due).min();
        due.filter(|_| self.asked.is_none())
    }

    /// Whether an `input_reply` is for an engine. Some frontends say what they answer, others do not.
    pub(super) fn answered_by(&self, reply: &Message) -> bool {
        let parent = serde_json::from_slice::<Header>(&reply.parent).map(|header| header.msg_id);
        match (&self.asked, parent) {
            (None, _) => false,
            (Some((_, question)), Ok(parent)) => parent.is_empty() || parent == question.asker.msg_id,
            (Some(_), Err(_)) => true,
        }
    }

    fn add(&mut self, task: TaskId, rank: Rank, question: Question) {
        // An engine asks one thing at a time: what it asked before was given up.
        self.forget(task, Some(rank));
        let before = self.count.entry((task, rank)).or_default();
        self.waiting.insert((task, *before, rank), question);
        *before += 1;
    }

    /// Nobody waits for answers any more in a task, or on one engine of it.
    fn forget(&mut self, task: TaskId, only: Option<Rank>) {
        let meant = |turn: &Turn| turn.0 == task && only.is_none_or(|rank| rank == turn.2);
        self.waiting.retain(|turn, _| !meant(turn));
        self.asked.take_if(|(turn, _)| meant(turn));
    }

    /// Every task that could ask was interrupted: what was asked was given up.
    pub(super) fn give_up(&mut self) {
        self.waiting.clear();
        self.asked = None;
    }
}

impl Session {
    /// Takes a question out of what happened, and gives the rest back.
    pub(super) fn note_question(&mut self, notice: Notice, now: Instant) -> Option<Notice> {
        match notice {
            Notice::Report { task, rank, event: event @ Event::Ask { .. } }
                if self.desk.clients(now, |clients, _| clients.pass_on(task, rank, &event)) =>
            {
                return None;
            }
            Notice::Report { task, rank, event: Event::Ask { question, prompt, password } } => {
                self.engine_asks(task, rank, question, prompt, password, now);
                return None;
            }
            Notice::Report { task, rank, event: Event::Done { .. } } | Notice::Lost { task, rank, .. } => {
                self.asks_no_more(task, rank, now);
            }
            _ => {}
        }
        Some(notice)
    }

    /// A task has ended on an engine.
    pub(super) fn asks_no_more(&mut self, task: TaskId, rank: Rank, now: Instant) {
        self.questions.forget(task, Some(rank));
        self.questions.count.remove(&(task, rank));
        self.hurry(task, now);
    }

    pub(super) fn engine_asks(
        &mut self,
        task: TaskId,
        rank: Rank,
        number: u64,
        prompt: String,
        password: bool,
        now: Instant,
    ) {
        match self.asker(task) {
            Err(why) => {
                let answer = Err(why.to_owned());
                self.desk.cluster(|cluster, out| cluster.answer(rank, number, answer, out));
            }
            Ok(asker) => {
                let due = now + AT_ONCE;
                self.questions.add(task, rank, Question { number, prompt, password, asker, due });
                self.hurry(task, now);
            }
        }
    }

    /// Nobody is waited for where everybody asks who could.
    fn hurry(&mut self, task: TaskId, now: Instant) {
        let waiting = self.questions.waiting.keys().filter(|turn| turn.0 == task).count();
        // How many might ask in a task that the hub alone knows is not known here.
        let might = self.desk.cluster.waiting(task);
        if might > 0 && waiting >= might {
            let of_task = self.questions.waiting.iter_mut().filter(|(turn, _)| turn.0 == task);
            of_task.for_each(|(_, question)| question.due = now);
        }
        self.ask_next(now);
    }

    /// Who can be asked on behalf of a task: the client whose cell waits for it.
    fn asker(&self, task: TaskId) -> Result<Asker, &'static str> {
        let local = match &self.current {
            Current::Local { request, .. } => Some(request),
            Current::Idle | Current::Run => None,
        };
        let run = self.runs.iter().filter_map(Run::task).find(|running| running.id() == task);
        let request = match run.map(TaskRun::parent) {
            Some(parent) => {
                let cells = self.runs.iter().filter_map(Run::cell).map(|cell| &cell.request);
                let mut open = cells.chain(local).chain(self.relayed.values());
                open.find(|request| request.parent() == parent)
            }
            // A call of the client API: the notebook's own code most likely waits for it.
            None if !self.has_task(task) => local,
            None => None,
        };
        let request = request.ok_or(NOBODY)?;
        if !allows_stdin(request) {
            return Err(NOT_ALLOWED);
        }
        let identities = request.message().identities.clone();
        Ok(Asker { identities, parent: request.parent().clone(), msg_id: String::new() })
    }

    /// Asks the next question, if it is its time.
    pub(super) fn ask_next(&mut self, now: Instant) {
        if self.questions.deadline().is_none_or(|due| due > now) {
            return;
        }
        let Some((turn, mut question)) = self.questions.waiting.pop_first() else { return };
        // What was printed before belongs above the question.
        let asking = self.runs.iter_mut().filter_map(Run::task_mut).find(|running| running.id() == turn.0);
        if let Some(running) = asking {
            running.show_all(&mut self.desk, now);
        }
        let prompt = format!("[stdin:{}] {}", turn.2, question.prompt);
        let content = json!({"prompt": prompt, "password": question.password});
        let asker = &mut question.asker;
        let mut message =
            self.desk.composer.message(Channel::Stdin, "input_request", &asker.parent, &content);
        message.identities.clone_from(&asker.identities);
        if let Ok(header) = serde_json::from_slice::<Header>(&message.header) {
            asker.msg_id = header.msg_id;
        }
        self.desk.send(message);
        self.questions.asked = Some((turn, question));
    }

    /// The person has answered: the engine gets it, and the next one is served.
    pub(super) fn question_answered(&mut self, reply: &Message, now: Instant) {
        let Some(((_, _, rank), question)) = self.questions.asked.take() else { return };
        let content: Value = serde_json::from_slice(&reply.content).unwrap_or_default();
        let text = content["value"].as_str().unwrap_or_default().to_owned();
        self.desk.cluster(|cluster, out| cluster.answer(rank, question.number, Ok(text), out));
        self.ask_next(now);
    }
}

fn allows_stdin(request: &Request) -> bool {
    request.content().get("allow_stdin").and_then(Value::as_bool).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(questions: &mut Questions, task: TaskId, rank: Rank) {
        let asker = Asker { identities: Vec::new(), parent: Json::default(), msg_id: "asked".to_owned() };
        let question =
            Question { number: 1, prompt: String::new(), password: false, asker, due: Instant::now() };
        questions.add(task, rank, question);
    }

    #[test]
    fn engines_are_served_by_rank_and_second_questions_after_all_first_ones() {
        let mut questions = Questions::default();
        for rank in [2, 0, 1] {
            ask(&mut questions, 1, rank);
        }
        let first = questions.waiting.pop_first().map(|(turn, _)| turn);
        assert_eq!(first, Some((1, 0, 0)));
        ask(&mut questions, 1, 0);
        let order: Vec<Turn> = questions.waiting.keys().copied().collect();
        assert_eq!(order, [(1, 0, 1), (1, 0, 2), (1, 1, 0)]);
        questions.forget(1, Some(2));
        questions.forget(7, None);
        assert_eq!(questions.waiting.len(), 2);
        questions.forget(1, None);
        assert!(questions.waiting.is_empty());
    }

    #[test]
    fn an_answer_is_an_engines_unless_it_says_otherwise() {
        let mut questions = Questions::default();
        ask(&mut questions, 1, 0);
        let reply = |parent: &str| Message {
            channel: Channel::Stdin,
            identities: Vec::new(),
            header: Json::default(),
            parent: Json::from(parent.as_bytes().to_vec()),
            metadata: Json::default(),
            content: Json::default(),
            buffers: Vec::new(),
        };
        let ours = r#"{"msg_id": "asked", "msg_type": "input_request"}"#;
        let others = r#"{"msg_id": "x", "msg_type": "input_request"}"#;
        assert!(!questions.answered_by(&reply("{}")), "nobody asked");
        questions.asked = questions.waiting.pop_first();
        for (parent, expected) in [("{}", true), (ours, true), (others, false)] {
            assert_eq!(questions.answered_by(&reply(parent)), expected, "{parent}");
        }
    }
}
